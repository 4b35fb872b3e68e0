"""CAD parts and voxel meshes for a model of laser powder bed fusion."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch

import lpbf
from flare_mesh.cases.case_reader import CaseReader, PredictionCase
from flare_mesh.cases.source_plugins import SourceError
from flare_mesh.cases.sources import MeshSource
from flare_mesh.mesh import MeshData
from lpbf.core.islands import choose_islands
from lpbf.core.part import PART_SUFFIXES


@dataclass(frozen=True)
class PartSource:
    """Parts, voxelised, and hexahedral meshes, both moved to the middle of the base plate.

    Args:
        pitch: Voxel edge in mm for a surface; by default the training data's.
        simulate: Also simulate a surface, by the process of the training data.
        islands: "drop" unsupported voxels, "refuse" the part, or support them by "powder"; by
            default "powder" if the training data had it, else "drop".
    """

    pitch: float | None = None
    simulate: bool = False
    islands: Literal["drop", "refuse", "powder"] | None = None

    suffixes: ClassVar[tuple[str, ...]] = PART_SUFFIXES

    def read(self, source: MeshSource, reader: CaseReader) -> PredictionCase:
        """The case of a surface, voxelised, or of a mesh file with hexahedra.

        Raises:
            FileNotFoundError: If the file does not exist.
            SourceError: If the simulation does not converge.
            ValueError: If the file cannot be used, or the pitch is not known.
        """
        if source.file.suffix.lower() in PART_SUFFIXES:
            return self._from_part(source.file, reader)
        if self.simulate or self.pitch is not None:
            raise ValueError(
                f"{source.file}: only a surface ({', '.join(PART_SUFFIXES)}) has a pitch and is "
                f"simulated; leave out pitch and simulate"
            )
        return _on_plate(_check_hexahedra(reader.read(source)))

    def case(self, name: str, mesh: MeshData, reader: CaseReader) -> PredictionCase:
        """The case of a hexahedral mesh in memory."""
        return _on_plate(_check_hexahedra(reader.case(name, mesh)))

    def _from_part(self, file: Path, reader: CaseReader) -> PredictionCase:
        info = reader.recipe.info
        missing = reader.inputs.keys() - reader.values.keys()
        if missing:
            raise ValueError(
                f"{file}: the model takes the fields {sorted(missing)}, which a surface does not "
                f"have; give a mesh file with them"
            )
        pitch = info.get("pitch") if self.pitch is None else self.pitch
        if pitch is None:
            raise ValueError(f"{file}: the pitch of the training data is unknown; give a pitch")
        process = process_of(info)
        islands = choose_islands(self.islands, process.islands)
        hexes = lpbf.voxelize(file, pitch, islands=islands)
        mesh = MeshData(
            pos=torch.from_numpy(hexes.points).float(), hexahedron=torch.from_numpy(hexes.cells)
        )
        if not self.simulate:
            return _on_plate(reader.case(str(file), mesh))
        process = replace(process, islands=islands)
        # A first run on two cells compiles the loops, so that the time is the part's alone.
        lpbf.simulate(lpbf.HexMesh.from_mask([[[True, True]]], pitch), process)
        try:
            result = lpbf.simulate(hexes, process)
        except lpbf.SolverError as error:
            raise SourceError(f"{file}: {error}") from error
        mesh.displacement = torch.from_numpy(result.displacement).float()
        mesh.displacement_z = mesh.displacement[:, 2:]
        mesh.von_mises = torch.from_numpy(result.von_mises).float()
        mesh.temperature = torch.from_numpy(result.temperature).float()
        case = _on_plate(reader.case(str(file), mesh))
        return replace(case, simulate_seconds=result.seconds)


def _check_hexahedra(case: PredictionCase) -> PredictionCase:
    mesh = case.mesh
    if list(mesh.cells) != ["hexahedron"]:
        raise ValueError(
            f"{case.name}: expected a mesh of hexahedra (got {list(mesh.cells)}), or a surface "
            f"({', '.join(PART_SUFFIXES)})"
        )
    unused = len(mesh.pos) - len(mesh["hexahedron"].unique())
    if unused:
        raise ValueError(f"{case.name}: {unused} points belong to no cell; remove them")
    return case


def _on_plate(case: PredictionCase) -> PredictionCase:
    """Move the points to the middle of the base plate, as in the training data."""
    pos = case.data.pos
    low, high = pos.amin(0), pos.amax(0)
    case.data.pos = pos - torch.stack([*((low + high) / 2)[:2], low[2]])
    return case


def process_of(info: Mapping[str, Any]) -> lpbf.Process:
    """The process by which a data set was generated, from its ``settings.json``."""
    if "process" in info:
        return lpbf.Process.from_dict(info["process"])
    keys = ("material", "inherent_strain", "scan_rotation")  # of older data sets
    return lpbf.Process.from_dict({key: info[key] for key in keys if key in info})
