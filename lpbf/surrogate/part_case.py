"""Cases of CAD parts and hexahedral meshes on the base plate."""

import math
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import lpbf
from flare_mesh.cases.case_reader import CaseReader, PredictionCase
from flare_mesh.cases.source_plugins import SourceError
from flare_mesh.mesh import MeshData
from lpbf.core.checks import check_edges
from lpbf.core.layers import voxel_size
from lpbf.core.part import PART_SUFFIXES
from lpbf.core.support_cells import support_share


def part_case(
    file: Path,
    reader: CaseReader,
    *,
    pitch: float | None,
    simulate: bool,
    layer_height: float | None,
    islands: str | None,
    build_volume: tuple[float, float, float],
    unit: str | None = None,
    place: str = "drop",
) -> PredictionCase:
    """Voxelise a part, and simulate it if asked; see :class:`lpbf.surrogate.PartSource`.

    Raises:
        FileNotFoundError: If the file does not exist.
        SourceError: If the simulation does not converge.
        ValueError: If the file cannot be used, or the pitch is unknown.
    """
    info = reader.recipe.info
    missing = reader.inputs.keys() - reader.values.keys()
    process = lpbf.Process.from_dict(info.get("process", {}))
    if process.generates_supports:
        missing -= {"support_share"}
    if missing:
        raise ValueError(
            f"{file}: the model needs the fields {sorted(missing)}, but a part has no fields; "
            f"give a mesh file with them"
        )
    trained = _trained_layers(process, info)
    edges = info.get("pitch")
    if pitch is not None:
        edges = voxel_size(pitch, trained if layer_height is None else layer_height)
    if edges is None:
        raise ValueError(f"{file}: the pitch of the training data is unknown; give a pitch")
    if simulate and "process" not in info:
        raise ValueError(
            f"{file}: the process of the training data is unknown, so the part cannot be "
            f"simulated as they were; leave out simulate"
        )
    if layer_height is not None and not simulate:
        raise ValueError(
            f"{file}: layer_height = {layer_height:g} mm applies only to a simulation; add "
            f"simulate, or leave it out"
        )
    islands = process.choose_islands(islands)
    hexes = lpbf.voxelize(
        file, edges, islands=islands, build_volume=build_volume, unit=unit, place=place
    )
    supports = process.supports if isinstance(process.supports, lpbf.Supports) else None
    hexes = lpbf.add_supports(hexes, supports)
    mesh = MeshData(
        pos=torch.from_numpy(hexes.points).float(), hexahedron=torch.from_numpy(hexes.cells)
    )
    if supports is not None:
        mesh.support_share = torch.from_numpy(support_share(hexes)).float()[:, None]
    if not simulate:
        return _on_plate(reader.from_mesh(str(file), mesh))
    if layer_height is not None:
        process = _with_layers(process, layer_height, hexes.spacing[2], trained, file)
    else:
        process = replace(process, layer_height=trained)
    process = replace(process, islands=islands)
    # A run on two cells compiles the loops, so that the time of the part does not include it.
    # The cuts are those of a part of another size.
    warm_up = replace(process, release=bool(process.release))
    lpbf.simulate(lpbf.HexMesh.from_mask([[[True, True]]], edges), warm_up)
    try:
        result = lpbf.simulate(hexes, process, on_step=reader.on_progress)
    except lpbf.SolverError as error:
        raise SourceError(f"{file}: {error}") from error
    mesh.displacement = torch.from_numpy(result.displacement).float()
    mesh.displacement_z = mesh.displacement[:, 2:]
    mesh.von_mises = torch.from_numpy(result.von_mises).float()
    mesh.temperature = torch.from_numpy(result.temperature).float()
    case = _on_plate(reader.from_mesh(str(file), mesh))
    return replace(case, simulate_seconds=result.seconds)


def _trained_layers(process: lpbf.Process, info: Mapping[str, Any]) -> float | None:
    """Height of the layers of the training data, mm; None if it is unknown.

    Data sets without a height in their process have one row of voxels in a layer.
    """
    if process.layer_height is not None or info.get("pitch") is None:
        return process.layer_height
    return check_edges("the pitch", info["pitch"])[2]


def _with_layers(
    process: lpbf.Process, height: float, voxel_height: float, trained: float | None, file: Path
) -> lpbf.Process:
    """The process with layers of another height, and a warning if the training data had others."""
    process = replace(process, layer_height=height)
    process.voxels_per_layer(voxel_height)  # checks the height
    if trained is not None and not math.isclose(trained, height, rel_tol=1e-6):
        warnings.warn(
            f"{file}: simulated in layers of {height:g} mm, but the training data have {trained:g} "
            f"mm, so that prediction and simulation differ; leave out layer_height",
            lpbf.PartWarning,
            stacklevel=2,
        )
    return process


def hexahedral_case(case: PredictionCase) -> PredictionCase:
    """The case of a mesh file, checked and moved to the middle of the base plate.

    Raises:
        ValueError: If the mesh has other cells than hexahedra.
    """
    mesh = case.mesh
    if list(mesh.cells) != ["hexahedron"]:
        raise ValueError(
            f"{case.name}: expected a mesh of hexahedra (got {list(mesh.cells)}) or a part "
            f"({', '.join(PART_SUFFIXES)})"
        )
    return _on_plate(case)


def _on_plate(case: PredictionCase) -> PredictionCase:
    """Move the points to the middle of the base plate, as in the training data."""
    pos = case.data.pos
    low, high = pos.amin(0), pos.amax(0)
    case.data.pos = pos - torch.stack([*((low + high) / 2)[:2], low[2]])
    return case
