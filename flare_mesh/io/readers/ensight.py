"""EnSight 6 and EnSight Gold files."""

import warnings
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.cell_blocks import blocks_to_arrays
from flare_mesh.io.ensight_case import EnSightCase, EnSightVariable
from flare_mesh.io.ensight_gold import read_gold_geometry, read_gold_variable
from flare_mesh.io.ensight_parts import EnSightPart
from flare_mesh.io.ensight_six import read_six_geometry, read_six_variable
from flare_mesh.io.ensight_values import EnSightFormat
from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.mesh.vtk_arrays import drop_ghost_cells

_GHOST = "vtkGhostType"


def ensight_times(path: Path) -> list[float]:
    """Time of each step of a case; empty if it has no time set.

    Raises:
        ValueError: If the case file is damaged.
    """
    return EnSightCase(path).times


def read_ensight(path: Path, step: int | None, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read a case of EnSight 6 or EnSight Gold, in text or binary of C or Fortran.

    The parts become one mesh with the variables that all parts have; ghost cells are left out.

    Source: EnSight User Manual, "EnSight Gold Casefile Format" and "EnSight6 Casefile Format".

    Raises:
        ValueError: If a file is missing, damaged or truncated, or has a part that is not read; or
            the step is not chosen or does not exist.
    """
    case = EnSightCase(path)
    number = case.choose(step)
    assert case.model is not None
    target, place, count = case.file(case.model, number)
    coding = EnSightFormat(target, case.is_gold)
    read_geometry = read_gold_geometry if case.is_gold else read_six_geometry
    failed: list[tuple[int, ValueError]] = []
    for order in coding.orders:
        progress = 0
        try:
            with coding.open(target, place, count, order) as values:
                try:
                    points, parts = read_geometry(values)
                finally:
                    progress = values.position
        except ValueError as error:
            # Binary files do not state their order of bytes.
            failed.append((progress, error))
            continue
        coding.fix_order(order)
        break
    else:
        # In the wrong order of bytes, the first number is an error.
        raise max(failed, key=itemgetter(0))[1]
    fields: tuple[dict[str, Any], dict[str, Any]] = {}, {}
    for variable in case.variables:
        values = _variable(case, variable, number, coding, parts, len(points))
        if values is not None:
            fields[variable.on_nodes][variable.name] = values
    if any(part.is_ghost(i) for part in parts for i in range(len(part.blocks))):
        fields[False][_GHOST] = [
            np.full(len(nodes), part.is_ghost(i), np.uint8)
            for part in parts
            for i, (_, nodes) in enumerate(part.blocks)
        ]
    blocks = [(part.kind(i), nodes) for part in parts for i, (_, nodes) in enumerate(part.blocks)]
    constants = {k: np.array([v]) for k, v in case.constants_at(number).items()}
    return drop_ghost_cells(
        blocks_to_arrays(points, blocks, fields[True], fields[False], constants)
    )


def _variable(
    case: EnSightCase,
    variable: EnSightVariable,
    step: int,
    coding: EnSightFormat,
    parts: list[EnSightPart],
    num_points: int,
) -> Any:
    """Values at the nodes, or of each block of elements; None if a part has none."""
    target, place, count = case.file(variable.file, step)
    read = read_gold_variable if case.is_gold else read_six_variable
    with coding.open(target, place, count, coding.orders[0]) as values:
        found, missing = read(values, variable, parts, num_points)
    if missing:
        warnings.warn(
            f"the variable '{variable.name}' is not read: the parts {missing} do not have it",
            MeshFileWarning,
            stacklevel=3,
        )
        return None
    return found
