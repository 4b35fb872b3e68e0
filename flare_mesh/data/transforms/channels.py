"""Names of the channels of the model's input."""

from typing import NamedTuple, Protocol, runtime_checkable


class Channel(NamedTuple):
    """A channel of x.

    Attributes:
        name: Its name in messages.
        log: Whether its values are natural logarithms; messages give the values themselves.
        compared: Whether a case is compared with the range of the training cases; not if another
            property of the case has the same information.
    """

    name: str
    log: bool = False
    compared: bool = True


@runtime_checkable
class AppendingTransform(Protocol):
    """A transform that appends channels to x, behind the fields of the data, if there are any."""

    APPENDS: bool

    def channels(self, pos_dim: int) -> tuple[Channel, ...]:
        """The appended channels, for coordinates of ``pos_dim`` dimensions."""
        ...
