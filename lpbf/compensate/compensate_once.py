"""A correction by a displacement field that is at hand."""

from pathlib import Path

import numpy as np
import trimesh
from numpy.typing import NDArray
from scipy.spatial import KDTree

from lpbf.compensate.compensate import deform, prepare
from lpbf.compensate.compensation import Compensation
from lpbf.compensate.surface_displacement import Pitch, surface_displacement
from lpbf.core.mesh import HexMesh


def compensate_once(
    part: trimesh.Trimesh | str | Path, field: str | Path, *, pitch: Pitch
) -> Compensation:
    """Pre-deforms a surface by minus a displacement read from a mesh file, once.

    The result is not simulated, so that nothing is known about its error; that of a field which
    is right is of second order, about the displacement times its gradient. Points on the plate
    keep their height.

    Args:
        part: A surface in mm, or the path of its file.
        field: A mesh file with a nodal field ``displacement`` [N, 3] in mm, simulated or
            predicted, whose points are those of the part's voxel mesh (more may be there).
        pitch: Edge length of the voxels that the field was made with, mm.

    Raises:
        FileNotFoundError: If a file does not exist.
        PartError: If the part is unusable at this pitch.
        ValueError: If the file has no such field, or is not of this part and pitch.
    """
    nominal = prepare(part, pitch)
    moved, _ = surface_displacement(nominal, pitch, lambda mesh: _read_field(Path(field), mesh))
    return Compensation(nominal, deform(nominal, nominal, -moved), (), None, None)


def _read_field(path: Path, mesh: HexMesh) -> NDArray[np.float64]:
    from flare_mesh.io import read_mesh

    data = read_mesh(path)
    field = data.get("displacement")
    if field is None or list(field.shape) != [data.num_nodes, 3]:
        got = "none" if field is None else list(field.shape)
        raise ValueError(
            f"{path}: expected a nodal field 'displacement' of shape [{data.num_nodes}, 3] in mm "
            f"(got {got}); simulate or predict it on the part's voxel mesh"
        )
    distance, node = KDTree(data.pos.numpy()).query(mesh.points)
    if distance.max() > 1e-3 * min(mesh.spacing):
        raise ValueError(
            f"{path}: its points are not those of the part's voxel mesh (off by up to "
            f"{distance.max():.3g} mm); give the part and the pitch that the field was made with"
        )
    values = field.numpy()[node].astype(np.float64)
    if not np.isfinite(values).all():
        raise ValueError(f"{path}: 'displacement' has NaN or infinite values; make it anew")
    return values
