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
        predict_seconds: Wall time from the mesh to the fields.
        simulate_seconds: Wall time of the simulation on the same mesh; None if there was none.
    """

    mesh: MeshData
    predicted: dict[str, Tensor]
    simulated: dict[str, Tensor]
    predict_seconds: float
    simulate_seconds: float | None

    @property
    def relative_l2(self) -> dict[str, float]:
        """Relative L2 error of each field whose truth is known."""
        return {
            name: float(relative_l2(self.predicted[name], truth, [truth.shape[1]]))
            for name, truth in self.simulated.items()
        }

    def save(self, path: str | Path) -> None:
        """Writes ``predicted_*``, and where known ``simulated_*`` and ``error_*`` fields."""
        fields = {f"predicted_{name}": value for name, value in self.predicted.items()}
        for name, truth in self.simulated.items():
            fields[f"simulated_{name}"] = truth
            fields[f"error_{name}"] = self.predicted[name] - truth
        flat = {key: value[:, 0] if value.shape[1] == 1 else value for key, value in fields.items()}
        bare = MeshData(pos=self.mesh.pos, **self.mesh.cells)
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
        ValueError: If the file cannot be used, or the pitch is not known.
    """
    source = Path(source)
    truth: dict[str, Tensor] = {}
    simulate_seconds = None
    if source.suffix.lower() in PART_SUFFIXES:
        if pitch is None:
            pitch = surrogate.info.get("pitch")
        if pitch is None:
            raise ValueError(f"{source}: give a pitch; the training data do not tell theirs")
        hexes = lpbf.voxelize(source, pitch, islands=islands)
        mesh = MeshData(
            pos=torch.from_numpy(hexes.points).float(),
            edge_index=torch.from_numpy(hexes.edge_index),
            hexahedron=torch.from_numpy(hexes.cells),
        )
        if simulate:
            result = lpbf.simulate(hexes, process_of(surrogate.info))
            simulate_seconds = result.seconds
            truth = {
                "displacement": torch.from_numpy(result.displacement).float(),
                "von_mises": torch.from_numpy(result.von_mises).float()[:, None],
                "temperature": torch.from_numpy(result.temperature).float()[:, None],
            }
    else:
        if simulate:
            raise ValueError(f"{source}: only a surface ({', '.join(PART_SUFFIXES)}) is simulated")
        mesh = MeshData.from_meshio(read_mesh(source))
        if "hexahedron" not in mesh.cells:
            raise ValueError(
                f"{source}: expected a mesh with hexahedra (got {list(mesh.cells)}), or a surface "
                f"({', '.join(PART_SUFFIXES)})"
            )
        truth = {name: value.reshape(len(value), -1) for name, value in mesh.node_fields.items()}

    # The training parts stand centred on the plate.
    low, high = mesh.pos.amin(0), mesh.pos.amax(0)
    placed = mesh.clone()
    placed.pos = mesh.pos - torch.stack([*((low + high) / 2)[:2], low[2]])
    # A first pass on one cell loads what torch and SciPy load once, so that the time is that of
    # the part.
    first = placed.subgraph(placed["hexahedron"][0])
    first.hexahedron = torch.arange(8)[None]
    surrogate.predict(first)
    start = time.perf_counter()
    predicted = surrogate.predict(placed)
    seconds = time.perf_counter() - start
    known = {name: truth[name] for name in predicted if name in truth}
    return Prediction(mesh, predicted, known, seconds, simulate_seconds)


def process_of(info: Mapping[str, Any]) -> lpbf.Process:
    """The process by which a data set was generated, from its ``settings.json``."""
    keys = ("material", "inherent_strain", "scan_rotation")
    options = {key: info[key] for key in keys if key in info}
    if "inherent_strain" in options:
        options["inherent_strain"] = tuple(options["inherent_strain"])
    return lpbf.Process(**options)
