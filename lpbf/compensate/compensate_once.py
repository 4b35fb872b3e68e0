"""Compensation by a given displacement field."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial import KDTree

from flare_mesh.choices import check_choice
from lpbf.compensate.compensate import COMPENSATED_PLACES, deform, prepare
from lpbf.compensate.compensation import Compensation
from lpbf.compensate.surface_displacement import Pitch, surface_displacement
from lpbf.core.mesh import HexMesh
from lpbf.core.placement import place_rotation, rotate_part
from lpbf.core.voxelize import BUILD_VOLUME, voxelize

if TYPE_CHECKING:
    from flare_mesh.mesh import MeshData

# Accepted distance of the field's points from the nodes, in voxels.
_NEAR = 1e-3


def compensate_once(
    part: trimesh.Trimesh | str | Path,
    field: "MeshData | str | Path",
    *,
    pitch: Pitch,
    build_volume: tuple[float, float, float] = BUILD_VOLUME,
    unit: str | None = None,
    place: str = "drop",
) -> Compensation:
    """Pre-deform a surface once, by the negative displacement in a mesh file.

    The result is not simulated, so its error is unknown. For an exact field it is of second order,
    about the displacement times its gradient. Points on the plate keep their height.

    Args:
        part: A surface in mm, or the path of its file.
        field: A mesh or its file with a nodal field ``displacement`` [N, 3] in mm, simulated or
            predicted. Its points include the nodes of the part's voxel mesh, with or without its
            unsupported voxels. The cell field ``removed`` of a release in cuts is respected.
        pitch: Edge length of the voxels of the field, mm.
        build_volume: Largest extents of the part, mm.
        unit: Unit of the part's file if it has none of its own; None for mm.
        place: Placement of the part when the field was computed, see :func:`compensate`.

    Raises:
        FileNotFoundError: If a file does not exist.
        PartError: If the part is unusable at this pitch.
        ValueError: If the file has no such field, or another part or pitch.
    """
    check_choice("compensate_once: unknown place", place, COMPENSATED_PLACES)
    nominal = prepare(part, pitch, unit)
    rotation = place_rotation(nominal, place)
    nominal = rotate_part(nominal, rotation)
    name = field if isinstance(field, (str, Path)) else "the field"
    data = _check_field(name, field)
    whole = voxelize(nominal, pitch, islands="powder", build_volume=build_volume)
    # Powder or supports under islands, or a part without its islands.
    islands = "powder" if _distance(data, whole) <= _NEAR * min(whole.spacing) else "drop"
    moved = surface_displacement(
        nominal,
        pitch,
        lambda mesh: _values(name, data, mesh),
        islands,
        build_volume=build_volume,
    )
    surface = deform(nominal, nominal, -moved.shift)
    nominal, surface = (rotate_part(s, rotation.T) for s in (nominal, surface))
    return Compensation(nominal, surface, (), None, None, rotation)


def _check_field(name: str | Path, given: "MeshData | str | Path") -> "MeshData":
    from flare_mesh.io import read_mesh

    data = read_mesh(given) if isinstance(given, (str, Path)) else given
    field = data.get("displacement")
    if field is None or list(field.shape) != [data.num_nodes, 3]:
        got = "none" if field is None else list(field.shape)
        raise ValueError(
            f"{name}: expected a nodal field 'displacement' of shape [{data.num_nodes}, 3] in mm "
            f"(got {got}); simulate or predict it on the part's voxel mesh"
        )
    return data


def _distance(data: "MeshData", mesh: HexMesh) -> float:
    """Largest distance of a node of a mesh from the points of a file, mm."""
    return float(KDTree(data.pos.numpy()).query(mesh.points)[0].max())


def _values(
    name: str | Path, data: "MeshData", mesh: HexMesh
) -> tuple[NDArray[np.float64], NDArray[np.bool_] | None]:
    """Displacement of a mesh's nodes, [N, 3], and the voxels that the release removes, [E]."""
    distance, node = KDTree(data.pos.numpy()).query(mesh.points)
    if distance.max() > _NEAR * min(mesh.spacing):
        raise ValueError(
            f"{name}: expected the nodes of the part's voxel mesh (the points are off by up to "
            f"{distance.max():.3g} mm); give the part and the pitch of the field"
        )
    values = data["displacement"].numpy()[node].astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{name}: 'displacement' has NaN or infinite values; compute it again")
    removed = data.cell_fields.get("removed")
    if removed is None:
        return values, None
    centers = data.pos[data.hexahedron].mean(dim=1).numpy()
    cell = KDTree(centers).query(mesh.points[mesh.cells].mean(axis=1))[1]
    return values, removed.numpy().reshape(-1)[cell] > 0
