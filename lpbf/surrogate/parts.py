"""CAD parts and voxel meshes for a model of laser powder bed fusion."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

import lpbf
from flare_mesh.cases.case_reader import CaseReader, PredictionCase
from flare_mesh.cases.sources import MeshSource
from flare_mesh.mesh import MeshData
from lpbf.core.part import PART_SUFFIXES


class PartReader:
    """Reads parts and hexahedral meshes, and puts them centred on the plate.

    Args:
        reader: Reads mesh files.
        pitch: Voxel edge of a part in mm; None takes that of the training data.
        simulate: Simulates a part as well, by the process of the training data.
        islands: ``"drop"`` or ``"refuse"`` voxels that nothing holds, or hold them by ``"powder"``;
            None takes powder if the training data had it, else drops.
    """

    def __init__(
        self,
        reader: CaseReader,
        *,
        pitch: float | None = None,
        simulate: bool = False,
        islands: str | None = None,
    ) -> None:
        self.reader = reader
        self.pitch = pitch
        self.simulate = simulate
        self.islands = islands

    def read(self, source: MeshSource) -> PredictionCase:
        """The case of a surface, voxelised, or of a mesh file with hexahedra.

        Raises:
            FileNotFoundError: If the file does not exist.
            SolverError: If the simulation does not converge.
            ValueError: If the file cannot be used, or the pitch is not known.
        """
        if source.file.suffix.lower() in PART_SUFFIXES:
            return self._from_part(source.file)
        if self.simulate or self.pitch is not None:
            raise ValueError(
                f"{source.file}: only a surface ({', '.join(PART_SUFFIXES)}) has a pitch and is "
                f"simulated"
            )
        return self._checked(self.reader.read(source))

    def case(self, name: str, mesh: MeshData) -> PredictionCase:
        """The case of a hexahedral mesh in memory."""
        return self._checked(self.reader.case(name, mesh))

    def _from_part(self, file: Path) -> PredictionCase:
        info = self.reader.surrogate.info
        missing = self.reader.inputs.keys() - self.reader.values.keys()
        if missing:
            raise ValueError(
                f"{file}: the model takes the fields {sorted(missing)}, which a surface does not "
                f"have; give a mesh file with them"
            )
        pitch = info.get("pitch") if self.pitch is None else self.pitch
        if pitch is None:
            raise ValueError(f"{file}: give a pitch; the training data do not tell theirs")
        process = process_of(info)
        islands = self.islands or ("powder" if process.islands == "powder" else "drop")
        hexes = lpbf.voxelize(file, pitch, islands=islands)
        mesh = MeshData(
            pos=torch.from_numpy(hexes.points).float(), hexahedron=torch.from_numpy(hexes.cells)
        )
        if not self.simulate:
            return _placed(self.reader.case(str(file), mesh))
        process = replace(process, islands="powder" if islands == "powder" else "refuse")
        # A first run on two cells loads the compiled loops: the time is that of the part.
        lpbf.simulate(lpbf.HexMesh.from_mask([[[True, True]]], pitch), process)
        result = lpbf.simulate(hexes, process)
        mesh.displacement = torch.from_numpy(result.displacement).float()
        mesh.displacement_z = mesh.displacement[:, 2:]
        mesh.von_mises = torch.from_numpy(result.von_mises).float()
        mesh.temperature = torch.from_numpy(result.temperature).float()
        case = _placed(self.reader.case(str(file), mesh))
        return replace(case, simulate_seconds=result.seconds)

    def _checked(self, case: PredictionCase) -> PredictionCase:
        mesh = case.mesh
        if list(mesh.cells) != ["hexahedron"]:
            raise ValueError(
                f"{case.name}: expected a mesh of hexahedra (got {list(mesh.cells)}), or a surface "
                f"({', '.join(PART_SUFFIXES)})"
            )
        unused = len(mesh.pos) - len(mesh["hexahedron"].unique())
        if unused:
            raise ValueError(f"{case.name}: {unused} points belong to no cell; remove them")
        return _placed(case)


def _placed(case: PredictionCase) -> PredictionCase:
    """The case where the training parts stand: in the middle of the plate, on it."""
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
