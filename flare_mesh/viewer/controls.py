"""From the values of the controls to what the page shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.viewer.cases import CaseStore, ViewMesh
from flare_mesh.viewer.drawing import Drawing, draw, suitable_factor
from flare_mesh.viewer.scene import bar_gradient
from flare_mesh.viewer.selection import (
    AXES,
    NORMAL,
    OBLIQUE,
    SIDES,
    Clip,
    Selection,
    clip_normal,
    make_selection,
)

CONTROLS = {
    "case_name": "",
    "step": 0,
    "field": "",
    "kind": "",
    "component": "",
    "warp": "",
    "factor": 0.0,
    "clip_on": False,
    "clip_axis": "x",
    "clip_nx": 1.0,
    "clip_ny": 1.0,
    "clip_nz": 0.0,
    "clip_side": SIDES[0],
    "clip_position": 0.0,
    "edges": False,
}
"""Values of the controls at the start."""

_USUAL_WARP = "displacement"
# The plane stays inside of the mesh by this share of its extent.
_INSIDE = 0.005


@dataclass(frozen=True)
class Shown:
    """What the page shows.

    Attributes:
        case: Name of the case.
        step: Number of its time step.
        mesh: The step.
        selection: The field and how it is shown.
        drawing: The picture.
        controls: Values of the controls, which may differ from those that were asked for.
        choices: What can be chosen, and the texts of the picture, by the names in the page.
    """

    case: str
    step: int
    mesh: ViewMesh
    selection: Selection
    drawing: Drawing
    controls: dict[str, Any]
    choices: dict[str, Any]


def show(store: CaseStore, wanted: Mapping[str, Any], before: Shown | None) -> Shown:
    """Compute what the controls ask for.

    A new case is deformed by its displacement, if it has one, as much as can be seen; a new normal
    has its clip plane in the middle.

    Args:
        store: The cases.
        wanted: Values of :data:`CONTROLS`, from the browser.
        before: What is shown now; None at the start.

    Raises:
        ValueError: If the case cannot be read, or a control has an impossible value.
    """
    controls = {name: wanted.get(name, value) for name, value in CONTROLS.items()}
    case, step = str(controls["case_name"]), controls["step"]
    mesh = store.mesh(case, step if isinstance(step, int) else 0)
    step = max(0, min(step if isinstance(step, int) else 0, len(mesh.steps) - 1))
    warps = ["", *(name for name, field in mesh.fields.items() if field.is_vector)]
    is_new = before is None or before.case != case
    if before is not None and before.step == step:  # a case that was simulated meanwhile is new too
        is_new = is_new or before.mesh is not mesh
    if is_new:
        controls["warp"] = _USUAL_WARP if _USUAL_WARP in warps else ""
    elif controls["warp"] not in warps:
        controls["warp"] = ""
    usual = suitable_factor(mesh.grid, mesh.fields, controls["warp"])
    if before is None or is_new or controls["warp"] != before.selection.warp:
        controls["factor"] = usual
    box = np.asarray(mesh.grid.bounds, dtype=float).reshape(3, 2)
    axes = [axis for axis, (low, high) in zip(AXES, box, strict=True) if high > low]
    normals = [*axes, OBLIQUE] if len(axes) > 1 else axes
    if controls["clip_axis"] not in normals:
        controls["clip_axis"] = next(iter(axes), AXES[0])
    controls["clip_on"] = bool(controls["clip_on"]) and bool(axes)
    if before is not None and not controls["clip_on"]:  # a normal that is none ends with its plane
        controls |= {name: before.controls[name] for name in NORMAL}
    low, high, expression = _clip_range(mesh.grid, box, controls)
    margin = _INSIDE * (high - low)
    plane = ("clip_axis", *NORMAL)
    if is_new or before is None or any(controls[one] != before.controls[one] for one in plane):
        controls["clip_position"] = (low + high) / 2
    selection = make_selection(controls, [*mesh.fields.values()])
    drawing = draw(mesh.grid, mesh.fields, selection)
    field = mesh.fields.get(selection.field)
    controls |= {
        "step": step,
        "field": selection.field,
        "kind": selection.kind,
        "component": selection.component,
    }
    choices = {
        "steps": [*mesh.steps],
        "fields": [*mesh.fields],
        "kinds": [] if field is None else [*field.kinds],
        "components": [] if field is None else [*field.components],
        "warps": [{"title": name or "none", "value": name} for name in warps],
        "factor_max": float(f"{max(5 * usual, abs(selection.factor)):.3g}"),
        "clip_axes": normals,
        "clip_expression": expression,
        "clip_low": low + margin,
        "clip_high": high - margin,
        "bar": "" if drawing.colours is None else bar_gradient(drawing.colours),
        "label": drawing.label,
        "ticks": [*reversed(drawing.ticks)],
        "caption": drawing.caption,
        "summary": f"{mesh.grid.n_points:,} nodes, {mesh.grid.n_cells:,} cells",
    }
    return Shown(case, step, mesh, selection, drawing, controls, choices)


def _clip_range(
    grid: Any, box: NDArray[np.float64], controls: Mapping[str, Any]
) -> tuple[float, float, str]:
    """Smallest and largest position of the clip plane, and the left side of its equation.

    Raises:
        ValueError: If the normal is none, or the mesh has no extent along it.
    """
    normal = clip_normal(controls)
    if controls["clip_axis"] in AXES:
        low, high = box[AXES.index(controls["clip_axis"])].tolist()
    else:
        along = np.asarray(grid.points, dtype=float) @ np.array(normal)
        low, high = float(along.min()), float(along.max())
    if controls["clip_on"] and low == high:
        raise ValueError(
            f"the mesh has no extent along the normal {normal} of the clip plane; give another one"
        )
    return low, high, Clip(normal, low, SIDES[0]).expression
