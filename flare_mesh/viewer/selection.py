"""What the controls of the viewer are set to."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from flare_mesh.viewer.fields import ViewField

AXES = ("x", "y", "z")
OBLIQUE = "oblique"
"""Choice of a clip plane whose normal is given by three numbers instead of an axis."""

NORMAL = ("clip_nx", "clip_ny", "clip_nz")
"""Controls of the normal of an oblique clip plane."""

_BELOW, _ABOVE = "below", "above"
SIDES = (_BELOW, _ABOVE)
"""Sides of the clip plane that can be kept."""


@dataclass(frozen=True)
class Clip:
    """A clip plane: the points whose scalar product with the normal is the position.

    Attributes:
        normal: Its normal, of any length; that of an axis is a unit vector.
        position: The scalar product; on an axis the coordinate.
        side: Which side is kept.
    """

    normal: tuple[float, float, float]
    position: float
    side: str

    @property
    def expression(self) -> str:
        """Its left side as an equation, such as ``x`` or ``x+2y``."""
        terms = [
            f"{'-' if factor < 0 else '+'}{_factor(abs(factor))}{axis}"
            for factor, axis in zip(self.normal, AXES, strict=True)
            if factor
        ]
        return "".join(terms).removeprefix("+")

    @property
    def text(self) -> str:
        """The plane as pictures take it, such as ``x<3.5``."""
        return f"{self.expression}{'<' if self.side == _BELOW else '>'}{self.position!r}"


@dataclass(frozen=True)
class Selection:
    """The field to show and how.

    Attributes:
        field: Name of the field; empty for the mesh alone.
        kind: One of :data:`~flare_mesh.viewer.fields.KINDS`.
        component: Name of the component, or ``"norm"``; empty for a scalar.
        warp: Name of the displacement by which the mesh is deformed; empty for none.
        factor: Scale factor of the displacement.
        clip: Clip plane; None for the whole mesh.
        edges: Whether the edges of the cells are drawn.
    """

    field: str = ""
    kind: str = "truth"
    component: str = ""
    warp: str = ""
    factor: float = 0.0
    clip: Clip | None = None
    edges: bool = False


def make_selection(state: Mapping[str, Any], fields: Sequence[ViewField]) -> Selection:
    """The selection from what the page says.

    A field, kind or component that the case does not have, as after a change of the case, becomes
    the first one that it has; the page then shows this one.

    Args:
        state: Values of the controls, by their names; from the browser, so that they may be
            anything.
        fields: Fields of the case.

    Raises:
        ValueError: If a number or the plane is not one.
    """
    by_name = {field.name: field for field in fields}
    field = by_name.get(_text(state, "field"), fields[0] if fields else None)
    warps = [one.name for one in fields if one.is_vector]
    warp = _text(state, "warp")
    clip = None
    if state.get("clip_on"):
        side = _text(state, "clip_side")
        if side not in SIDES:
            raise ValueError(f"clip_side: expected one of {SIDES} (got {side!r:.40})")
        clip = Clip(clip_normal(state), _number(state, "clip_position"), side)
    return Selection(
        field="" if field is None else field.name,
        kind="" if field is None else _known(_text(state, "kind"), field.kinds),
        component="" if field is None else _known(_text(state, "component"), field.components),
        warp=warp if warp in warps else "",
        factor=_number(state, "factor") if warp in warps else 0.0,
        clip=clip,
        edges=bool(state.get("edges")),
    )


def clip_normal(state: Mapping[str, Any]) -> tuple[float, float, float]:
    """The normal of the clip plane.

    Raises:
        ValueError: If it is zero or not three numbers, or the axis is none.
    """
    axis = _text(state, "clip_axis")
    if axis in AXES:
        x, y, z = (float(axis == one) for one in AXES)
    elif axis == OBLIQUE:
        x, y, z = (_number(state, name) for name in NORMAL)
        if not any((x, y, z)):
            raise ValueError("the normal of the clip plane is zero; give another number than 0")
    else:
        raise ValueError(f"clip_axis: expected one of {(*AXES, OBLIQUE)} (got {axis!r:.40})")
    return x, y, z


def _factor(value: float) -> str:
    return "" if value == 1 else repr(value).removesuffix(".0")


def _known(value: str, choices: Sequence[str]) -> str:
    return value if value in choices else next(iter(choices), "")


def _text(state: Mapping[str, Any], name: str) -> str:
    value = state.get(name)
    return value if isinstance(value, str) else ""


def _number(state: Mapping[str, Any], name: str) -> float:
    value = state.get(name)
    try:
        number = float(value)  # pyright: ignore[reportArgumentType]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name}: expected a number (got {value!r:.40})")
    return number
