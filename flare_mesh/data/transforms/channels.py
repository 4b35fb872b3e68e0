"""Names of the channels of the model's input."""

from typing import Literal, NamedTuple, Protocol, runtime_checkable


class Channel(NamedTuple):
    """A channel of x.

    Attributes:
        name: Its name in messages.
        log: Whether its values are natural logarithms; messages give the values themselves.
        compared: Whether a case is compared with the range of the training cases; not if another
            property of the case has the same information.
        kind: ``"vector"`` for a component of a vector, ``"size"`` for a component of lengths or
            variances along the axes, which a reflection does not change, else ``"scalar"``.
        axis: Axis of the component, 0 for x; the components of one vector or size follow each
            other.
    """

    name: str
    log: bool = False
    compared: bool = True
    kind: Literal["scalar", "vector", "size"] = "scalar"
    axis: int = 0


@runtime_checkable
class AppendingTransform(Protocol):
    """A transform that appends channels to x, behind the fields of the data, if there are any."""

    APPENDS: bool

    def channels(self, pos_dim: int) -> tuple[Channel, ...]:
        """The appended channels, for coordinates of ``pos_dim`` dimensions."""
        ...


def components(
    name: str,
    axes: str,
    end: str = "",
    *,
    kind: Literal["vector", "size"],
    log: bool = False,
    compared: bool = True,
) -> list[Channel]:
    """Channels of a vector or of a size, such as "size along x" and "size along y".

    Args:
        name: Beginning of each name.
        axes: Names of the axes in order, beginning with x.
        end: End of each name, after the axis.
        kind: As in :class:`Channel`.
        log: As in :class:`Channel`.
        compared: As in :class:`Channel`.
    """
    return [
        Channel(f"{name} {label}{end}", log, compared, kind, axis)
        for axis, label in enumerate(axes)
    ]
