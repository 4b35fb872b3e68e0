"""Check of a pre-deformed surface on voxels of its own."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lpbf.compensate.compensation import Check
from lpbf.compensate.nominal import Nominal
from lpbf.compensate.surface_field import Simulator, SurfaceField
from lpbf.core.errors import PartWarning
from lpbf.core.mesh import HexMesh
from lpbf.core.placement import part_offset

if TYPE_CHECKING:
    import trimesh


def check_surface(
    nominal: Nominal,
    surface: "trimesh.Trimesh",
    field: SurfaceField,
    mesh: HexMesh,
    voxels: "Callable[[trimesh.Trimesh], HexMesh]",
    simulator: Simulator,
) -> Check:
    """Deviations of the part as designed and of a pre-deformed surface on other voxels.

    Args:
        nominal: The part as designed.
        surface: The pre-deformed surface.
        field: The displacement by which it was made.
        mesh: The part as designed in the check's voxels.
        voxels: Fills a surface with the check's voxels.
        simulator: Returns the displacement of the voxels' nodes, and the removed voxels.
    """
    errors = []
    for shape in (nominal.surface, surface):
        if errors:
            with warnings.catch_warnings():
                # The voxels of the part as designed have given their warnings.
                warnings.simplefilter("ignore", PartWarning)
                mesh = voxels(shape)
        # The middle of the pre-deformed part is another one. Cuts of the release, which are in the
        # coordinates of the mesh, stay where they are in the part.
        own = part_offset(shape, mesh)
        x, y, z = mesh.origin
        dx, dy = (own - field.offset)[:2].tolist()
        mesh = replace(mesh, origin=(x + dx, y + dy, z))
        offset = np.array([*field.offset[:2], own[2]])
        errors.append(nominal.errors(shape, SurfaceField(mesh, offset, simulator))[0])
    before, after = errors
    predicted, _ = nominal.errors(nominal.surface)
    return Check(
        mesh.spacing,
        before=nominal.deviation(before),
        after=nominal.deviation(after),
        disagreement=nominal.deviation(before - predicted),
    )
