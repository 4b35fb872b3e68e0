"""From a CAD part or a mesh file to predicted fields, and to the truth where it can be had."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import lpbf
from flare_mesh.data import MeshData, read_mesh
from flare_mesh.surrogate import Surrogate
from flare_mesh.training.metrics import relative_l2
from lpbf.part import PART_SUFFIXES


@dataclass(frozen=True)
class Prediction:
    """Fields on a mesh.

    Attributes:
        mesh: Points and cells, mm.
        predicted: Fields by name, [N, channels].
        simulated: The truth of those fields that is known; may be empty.
        predict_seconds: Wall time from the mesh to the fields, after a first pass on one cell.
        simulate_seconds: Wall time of the simulation on the same mesh, likewise after a first one
            of two cells; None if there was none.
    """

    mesh: MeshData
    predicted: dict[str, Tensor]
    simulated: dict[str, Tensor]
    predict_seconds: float
    simulate_seconds: float | None

    @property
    def relative_l2(self) -> dict[str, float]:
        """Relative L2 error of each field whose truth is known and not zero everywhere."""
        return {
            name: float(relative_l2(self.predicted[name], truth, [truth.shape[1]]))
            for name, truth in self.simulated.items()
            if bool(truth.any())
        }

    def save(self, path: str | Path) -> None:
        """Writes ``predicted_*``, and where known ``simulated_*`` and ``error_*`` fields."""
        fields = {f"predicted_{name}": value for name, value in self.predicted.items()}
        for name, truth in self.simulated.items():
            fields[f"simulated_{name}"] = truth
            fields[f"error_{name}"] = self.predicted[name] - truth
        flat = {key: value[:, 0] if value.shape[1] == 1 else value for key, value in fields.items()}
        bare = MeshData(self.mesh.pos)
        bare.cell_index, bare.cell_type = self.mesh.cell_index, self.mesh.cell_type
        bare.save(path, **flat)


def predict(
    surrogate: Surrogate,
    source: str | Path,
    *,
    pitch: float | None = None,
    simulate: bool = False,
    islands: str = "drop",
) -> Prediction:
    """Predicts the fields of a part.

    Args:
        surrogate: A trained surrogate of LPBF.
        source: A surface (STL, PLY, OBJ, OFF, 3MF; in mm), which is voxelised, or a mesh file with
            hexahedra. Fields of the mesh file that bear a predicted field's name are its truth.
        pitch: Voxel edge in mm for a surface; None takes that of the training data.
        simulate: Simulates a surface as well, by the process of the training data.
        islands: ``"drop"`` or ``"refuse"`` voxels that nothing holds, as in
            :func:`lpbf.voxelize`.

    Raises:
        FileNotFoundError: If the file does not exist.
        SolverError: If the simulation does not converge.
        ValueError: If the file cannot be used, or the pitch is not known.
    """
    source = Path(source)
    mesh, truth, simulate_seconds = (
        _from_part(surrogate, source, pitch, simulate, islands)
        if source.suffix.lower() in PART_SUFFIXES
        else _from_mesh_file(surrogate, source, pitch, simulate)
    )
    # The training parts stand centred on the plate.
    low, high = mesh.pos.amin(0), mesh.pos.amax(0)
    placed = mesh.clone()
    placed.pos = mesh.pos - torch.stack([*((low + high) / 2)[:2], low[2]])
    # A first pass on one cell loads what torch and SciPy load once, so that the time is that of
    # the part; the simulation has the same.
    first = placed.subgraph(placed["hexahedron"][0])
    surrogate.predict(first)
    start = time.perf_counter()
    predicted = surrogate.predict(placed)
    seconds = time.perf_counter() - start
    known = {name: truth[name] for name in predicted if name in truth}
    return Prediction(mesh, predicted, known, seconds, simulate_seconds)


def _from_part(
    surrogate: Surrogate, source: Path, pitch: float | None, simulate: bool, islands: str
) -> tuple[MeshData, dict[str, Tensor], float | None]:
    """The voxel mesh of a surface, its simulated fields and their seconds, if asked for."""
    pitch = surrogate.info.get("pitch") if pitch is None else pitch
    if pitch is None:
        raise ValueError(f"{source}: give a pitch; the training data do not tell theirs")
    hexes = lpbf.voxelize(source, pitch, islands=islands)
    mesh = MeshData(
        pos=torch.from_numpy(hexes.points).float(),
        edge_index=torch.from_numpy(hexes.edge_index),
        hexahedron=torch.from_numpy(hexes.cells),
    )
    if not simulate:
        return mesh, {}, None
    process = process_of(surrogate.info)
    lpbf.simulate(lpbf.HexMesh.from_mask([[[True, True]]], pitch), process)
    result = lpbf.simulate(hexes, process)
    truth = {
        "displacement": torch.from_numpy(result.displacement).float(),
        "von_mises": torch.from_numpy(result.von_mises).float()[:, None],
        "temperature": torch.from_numpy(result.temperature).float()[:, None],
    }
    return mesh, truth, result.seconds


def _from_mesh_file(
    surrogate: Surrogate, source: Path, pitch: float | None, simulate: bool
) -> tuple[MeshData, dict[str, Tensor], None]:
    """A hexahedral mesh and those of its fields that bear a predicted field's name."""
    if simulate or pitch is not None:
        raise ValueError(
            f"{source}: only a surface ({', '.join(PART_SUFFIXES)}) has a pitch and is simulated"
        )
    mesh = read_mesh(source)
    if list(mesh.cells) != ["hexahedron"]:
        raise ValueError(
            f"{source}: expected a mesh of hexahedra (got {list(mesh.cells)}), or a surface "
            f"({', '.join(PART_SUFFIXES)})"
        )
    unused = (mesh.num_nodes or 0) - len(mesh["hexahedron"].unique())
    if unused:
        raise ValueError(f"{source}: {unused} points belong to no cell; remove them")
    truth, given = {}, mesh.node_fields
    for name, channels in surrogate.fields.items():
        if name in given:
            field = given[name].reshape(len(mesh.pos), -1)
            if field.shape[1] != channels:
                raise ValueError(
                    f"{source}: expected '{name}' with {channels} components "
                    f"(got {field.shape[1]}); rename that field"
                )
            truth[name] = field
    return mesh, truth, None


def process_of(info: Mapping[str, Any]) -> lpbf.Process:
    """The process by which a data set was generated, from its ``settings.json``."""
    keys = ("material", "inherent_strain", "scan_rotation")
    options = {key: info[key] for key in keys if key in info}
    if "inherent_strain" in options:
        options["inherent_strain"] = tuple(options["inherent_strain"])
    return lpbf.Process(**options)
