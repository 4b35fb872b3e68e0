"""Supports and voxels of a part in each step of its release."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpbf.core.cut import Cut, PlaneCut, check_release
from lpbf.core.errors import PartError
from lpbf.core.mesh import HexMesh

SUPPORTS_OFF = "supports off"
"""Name of the step that takes off the supports."""


@dataclass(frozen=True, eq=False)
class ReleaseStep:
    """What a cut leaves.

    Attributes:
        name: Name in reports and errors.
        left: Voxels that are left, [E].
        on_plate: Nodes that the plate holds, [N].
    """

    name: str
    left: NDArray[np.bool_]
    on_plate: NDArray[np.bool_]


def release_steps(
    mesh: HexMesh,
    release: bool | Sequence[Cut | Mapping[str, Any]],
    is_support: NDArray[np.bool_] | None = None,
    order: str = "plate first",
) -> list[ReleaseStep]:
    """Apply the cuts of a release to a part, one after the other.

    A node is on the plate as long as the bottom of a voxel at it is. Supports are taken off in one
    step, before all cuts or after them.

    Args:
        mesh: The part with its supports, and with its bottom on the plate.
        release: Whether the part is cut off at the plate, or its cuts, as in a process.
        is_support: Which voxels are supports, [E]; None for none.
        order: Of :data:`lpbf.core.supports.REMOVALS`.

    Raises:
        PartError: If a cut touches nothing that is left, or leaves nothing of the part.
    """
    release = check_release(release)
    if release is False:
        return []
    cuts = [PlaneCut(mesh.origin[2])] if release is True else release
    left = np.ones(mesh.num_cells, dtype=bool)
    held = mesh.cell_index[:, 2] == 0
    steps = []

    def add(name: str) -> None:
        on_plate = np.zeros(mesh.num_nodes, dtype=bool)
        on_plate[mesh.cells[held, :4]] = True
        steps.append(ReleaseStep(name, left, on_plate))

    supports = np.zeros(mesh.num_cells, dtype=bool) if is_support is None else is_support
    if supports.any() and order == "supports first":
        left, held = left & ~supports, held & ~supports
        add(SUPPORTS_OFF)
    for number, cut in enumerate(cuts, start=1):
        name = f"cut {number}"
        removed = cut.removed(mesh) & left
        separated = cut.separated(mesh) & left & held
        if not (removed | separated).any():
            raise PartError(f"release: {name} ({cut}) {_miss(mesh, left, held)}")
        left, held = left & ~removed, held & ~(removed | separated)
        if not left.any():
            raise PartError(f"release: {name} ({cut}) leaves nothing of the part; move it")
        add("release" if release is True else name)
    if supports.any() and order == "plate first":
        left, held = left & ~supports, held & ~supports
        if not left.any():
            raise PartError("release: the cuts leave nothing but supports; move them")
        add(SUPPORTS_OFF)
    return steps


def _miss(mesh: HexMesh, left: NDArray[np.bool_], held: NDArray[np.bool_]) -> str:
    points = mesh.points[np.unique(mesh.cells[left])]
    low, high = ("(" + ", ".join(f"{x:g}" for x in p) + ")" for p in (points.min(0), points.max(0)))
    where = "" if held.any() else " and nothing of it is on the plate"
    return (
        f"touches no voxel's centre and no bottom on the plate: the part spans {low} to {high} "
        f"mm{where}; move or remove the cut"
    )
