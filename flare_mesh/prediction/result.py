"""Predicted fields on a mesh, and how they are written."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from flare_mesh.cases.case_reader import PredictionCase
from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.io import write_mesh
from flare_mesh.io.time_collection import write_time_collection
from flare_mesh.mesh import MeshData
from flare_mesh.mesh.mesh_storage import CELL_PREFIX
from flare_mesh.surrogate.surrogate import Surrogate


@dataclass(frozen=True)
class Prediction:
    """Fields on a mesh.

    Attributes:
        name: File of the mesh.
        mesh: Points and cells.
        predicted: Fields by name, [N, channels]; of a time series [N, steps * channels], step by
            step. N are the nodes, or the cells where the model was trained on those.
        truth: The fields that are known; of a time series maybe of its first steps only.
        units: Unit of each field.
        on_cells: Whether the fields stand on cells.
        times: Time of each predicted step; empty if it is no time series.
        predict_seconds: Wall time from the mesh to the fields, or its share of that of a pass.
        simulate_seconds: Wall time of the simulation on the same mesh; None if there was none.
    """

    name: str
    mesh: MeshData
    predicted: dict[str, Tensor]
    truth: dict[str, Tensor]
    units: Mapping[str, str] = field(default_factory=dict)
    on_cells: bool = False
    times: tuple[float, ...] = ()
    predict_seconds: float = 0.0
    simulate_seconds: float | None = None

    @classmethod
    def of(
        cls,
        surrogate: Surrogate,
        recipe: CaseRecipe,
        case: PredictionCase,
        predicted: dict[str, Tensor],
        seconds: float,
    ) -> "Prediction":
        """The prediction of a case.

        Args:
            surrogate: What predicted it.
            recipe: How its training cases were read.
            case: The case.
            predicted: The fields on the CPU, as :meth:`Surrogate.predict` names them.
            seconds: Wall time.
        """
        times: tuple[float, ...] = ()
        end = ""
        if recipe.window is not None:
            num_in, num_out = recipe.window
            name, channels = next(iter(surrogate.fields.items()))
            times = _times(case.times, num_in, predicted[name].shape[1] // (channels // num_out))
            end = "_out"
        short = {name: name.removesuffix(end) for name in predicted}
        return cls(
            case.name,
            case.mesh,
            {short[name]: values for name, values in predicted.items()},
            {
                short[name]: case.truth[name][:, : values.shape[1]]
                for name, values in predicted.items()
                if name in case.truth
            },
            {short[name]: unit for name, unit in surrogate.units.items() if name in short},
            recipe.on == "cells",
            times,
            seconds,
            case.simulate_seconds,
        )

    @property
    def num_points(self) -> int:
        """Number of nodes, or of cells where the fields stand on those."""
        return len(next(iter(self.predicted.values())))

    @property
    def relative_l2(self) -> dict[str, float]:
        """Relative L2 error of each field whose truth is known and not zero everywhere."""
        found = {}
        for name, truth in self.truth.items():
            norm = torch.linalg.vector_norm(truth)
            if norm > 0:
                error = self.predicted[name][:, : truth.shape[1]] - truth
                found[name] = float(torch.linalg.vector_norm(error) / norm)
        return found

    def save(self, path: str | Path) -> None:
        """Writes ``predicted_<field>``, and where the truth is known ``<field>`` and
        ``error_<field>``, which is prediction minus truth.

        Args:
            path: ``.vtu`` or ``.vtk``, which hold units too, or ``.vtp``, ``.xdmf``, ``.ply``,
                ``.msh``, as far as the format can hold the mesh. A time series of several steps
                is a ``.pvd`` file, which ParaView opens, with a folder of ``.vtu`` files.

        Raises:
            ValueError: If the format cannot hold the mesh or its fields.
        """
        path, steps = Path(path), max(1, len(self.times))
        if path.suffix.lower() == ".pvd":
            if not self.times:
                raise ValueError(f"{path}: .pvd is for time series (got a single mesh); take .vtu")
            write_time_collection(path, self.times, lambda file, step: self._write(file, step))
        elif steps > 1:
            raise ValueError(f"{path}: a time series of {steps} steps is written as .pvd")
        else:
            self._write(path, 0)

    def _write(self, path: Path, step: int) -> None:
        out = MeshData(self.mesh.pos)
        out.cell_index, out.cell_type = self.mesh.cell_index, self.mesh.cell_type
        prefix = CELL_PREFIX if self.on_cells else ""
        units = {}
        for name, (values, unit) in self._of_step(step).items():
            out[prefix + name] = values[:, 0] if values.shape[1] == 1 else values
            if unit is not None:
                units[name] = unit
        out.units = units
        write_mesh(path, out)

    def _of_step(self, step: int) -> dict[str, tuple[Tensor, str | None]]:
        """Fields of one step by their name in a file, with their units."""
        found: dict[str, tuple[Tensor, str | None]] = {}
        for name, series in self.predicted.items():
            unit, channels = self.units.get(name), series.shape[1] // max(1, len(self.times))
            part = slice(step * channels, (step + 1) * channels)
            found[f"predicted_{name}"] = series[:, part], unit
            truth = self.truth[name][:, part] if name in self.truth else series[:, :0]
            if truth.shape[1]:
                found[name] = truth, unit
                found[f"error_{name}"] = series[:, part] - truth, unit
        return found


def _times(known: tuple[float, ...], num_in: int, steps: int) -> tuple[float, ...]:
    """Times of the steps that follow; beyond those that are known, at the last distance."""
    times = [*known]
    distance = times[-1] - times[-2] if len(times) > 1 else 1.0
    while len(times) < num_in + steps:
        times.append(times[-1] + distance)
    return tuple(times[num_in : num_in + steps])
