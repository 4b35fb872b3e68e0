"""Source plug-in for models of laser powder bed fusion."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar, Literal

import torch

import lpbf
from flare_mesh.cases.case_files import CaseFiles
from flare_mesh.cases.case_reader import CaseReader, PredictionCase
from flare_mesh.cases.source_plugins import SourceError
from flare_mesh.mesh import MeshData
from lpbf.core.islands import choose_islands
from lpbf.core.part import PART_SUFFIXES
from lpbf.core.voxelize import BUILD_VOLUME


@dataclass(frozen=True)
class PartSource:
    """Voxelised CAD parts and hexahedral meshes, moved to the middle of the base plate.

    Args:
        pitch: Voxel edge of a part in mm; by default that of the training data.
        simulate: Also simulate a part, with the process of the training data.
        islands: "drop" unsupported voxels, "refuse" the part, or support them by "powder"; by
            default "powder" if the training data had it, else "drop".
        build_volume: Largest extents of a part, mm.
    """

    pitch: float | None = None
    simulate: bool = False
    islands: Literal["drop", "refuse", "powder"] | None = None
    build_volume: tuple[float, float, float] = BUILD_VOLUME

    suffixes: ClassVar[tuple[str, ...]] = PART_SUFFIXES

    def read(self, files: CaseFiles, reader: CaseReader) -> PredictionCase:
        """Read the case of a CAD part, or of a mesh file with hexahedra.

        Raises:
            FileNotFoundError: If the file does not exist.
            SourceError: If the simulation does not converge.
            ValueError: If the file cannot be used, or the pitch is unknown.
        """
        if files.file.suffix.lower() in PART_SUFFIXES:
            return self._from_part(files.file, reader)
        if self.simulate or self.pitch is not None:
            raise ValueError(
                f"{files.file}: pitch and simulate apply only to a part "
                f"({', '.join(PART_SUFFIXES)}); leave them out"
            )
        return _on_plate(_check_hexahedra(reader.read(files)))

    def from_mesh(self, name: str, mesh: MeshData, reader: CaseReader) -> PredictionCase:
        """The case of a hexahedral mesh in memory."""
        return _on_plate(_check_hexahedra(reader.from_mesh(name, mesh)))

    def _from_part(self, file: Path, reader: CaseReader) -> PredictionCase:
        info = reader.recipe.info
        missing = reader.inputs.keys() - reader.values.keys()
        if missing:
            raise ValueError(
                f"{file}: the model needs the fields {sorted(missing)}, but a part has no fields; "
                f"give a mesh file with them"
            )
        pitch = info.get("pitch") if self.pitch is None else self.pitch
        if pitch is None:
            raise ValueError(f"{file}: the pitch of the training data is unknown; give a pitch")
        if self.simulate and "process" not in info:
            raise ValueError(
                f"{file}: the process of the training data is unknown, so the part cannot be "
                f"simulated as they were; leave out simulate"
            )
        process = lpbf.Process.from_dict(info.get("process", {}))
        islands = choose_islands(self.islands, process.islands)
        hexes = lpbf.voxelize(file, pitch, islands=islands, build_volume=self.build_volume)
        mesh = MeshData(
            pos=torch.from_numpy(hexes.points).float(), hexahedron=torch.from_numpy(hexes.cells)
        )
        if not self.simulate:
            return _on_plate(reader.from_mesh(str(file), mesh))
        process = replace(process, islands=islands)
        # A run on two cells compiles the loops, so that the time of the part does not include it.
        lpbf.simulate(lpbf.HexMesh.from_mask([[[True, True]]], pitch), process)
        try:
            result = lpbf.simulate(hexes, process)
        except lpbf.SolverError as error:
            raise SourceError(f"{file}: {error}") from error
        mesh.displacement = torch.from_numpy(result.displacement).float()
        mesh.displacement_z = mesh.displacement[:, 2:]
        mesh.von_mises = torch.from_numpy(result.von_mises).float()
        mesh.temperature = torch.from_numpy(result.temperature).float()
        case = _on_plate(reader.from_mesh(str(file), mesh))
        return replace(case, simulate_seconds=result.seconds)


def _check_hexahedra(case: PredictionCase) -> PredictionCase:
    mesh = case.mesh
    if list(mesh.cells) != ["hexahedron"]:
        raise ValueError(
            f"{case.name}: expected a mesh of hexahedra (got {list(mesh.cells)}) or a part "
            f"({', '.join(PART_SUFFIXES)})"
        )
    return case


def _on_plate(case: PredictionCase) -> PredictionCase:
    """Move the points to the middle of the base plate, as in the training data."""
    pos = case.data.pos
    low, high = pos.amin(0), pos.amax(0)
    case.data.pos = pos - torch.stack([*((low + high) / 2)[:2], low[2]])
    return case
