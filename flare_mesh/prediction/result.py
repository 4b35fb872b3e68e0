"""Predicted fields on a mesh."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from flare_mesh.cases.prediction_mark import (
    MARKED_SUFFIXES,
    PREDICTION_MARK,
    band_name,
    error_name,
    predicted_name,
)
from flare_mesh.io import write_mesh
from flare_mesh.io.time_collection import write_time_collection
from flare_mesh.io.time_steps import choose_step
from flare_mesh.mesh import MeshData
from flare_mesh.mesh.mesh_storage import CELL_PREFIX
from flare_mesh.uncertainty.calibration import THRESHOLD


@dataclass(frozen=True)
class Prediction:
    """Predicted fields on a mesh, and the true fields where they are known.

    Attributes:
        name: File of the mesh.
        mesh: Points and cells, without the nodes that belong to no cell.
        predicted: Fields by name, [N, channels], or [N, steps * channels] step by step for a time
            series. N is the number of nodes, or of cells if the model was trained on cells.
        truth: True fields, as far as they are known; for a time series possibly only of the first
            steps.
        units: Unit of each field.
        on_cells: Whether the fields are cell fields.
        times: Time of each predicted step; empty for a single mesh.
        predict_seconds: Wall time of the prediction, or its share of the wall time of a batch.
        simulate_seconds: Wall time of a simulation on the same mesh; None without a simulation.
        band: Half-width of the band of each field, [N, steps], in the unit of the field; empty
            without a calibration. The norm of the error over the channels of the field is smaller
            at the share ``coverage`` of the nodes, in the mean over cases like the training cases.
        coverage: The share; None without a calibration.
        ood_score: How unlike the training cases the case is, over the usual unlikeness; None
            without a calibration.
        ood_kind: What is the most unlike: ``"shape"``, ``"inputs"`` or the model's ``"features"``.
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
    band: dict[str, Tensor] = field(default_factory=dict)
    coverage: float | None = None
    ood_score: float | None = None
    ood_kind: str = ""

    @property
    def is_unlike(self) -> bool:
        """Whether the case is so unlike the training cases that the bands cannot be trusted."""
        return self.ood_score is not None and self.ood_score > THRESHOLD

    @property
    def num_points(self) -> int:
        """Number of nodes, or of cells for cell fields."""
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
        """Write ``predicted_<field>``, and if they are known its band, its truth and its error.

        ``<field>_band`` is the half-width of the band, ``<field>`` the truth, and ``error_<field>``
        the prediction minus the truth. ``.vtu`` and ``.vtk`` files also have the field
        ``flare_mesh_prediction``, by which a data set knows that they are no simulations, and
        ``ood_score`` and ``band_coverage`` as numbers for the whole case.

        Args:
            path: ``.vtu`` or ``.vtk``, which store units too, or ``.vtp``, ``.xdmf``, ``.ply``,
                ``.msh``, if the format supports the mesh. A time series of several steps is
                written as a ``.pvd`` file for ParaView, with a folder of ``.vtu`` files.

        Raises:
            ValueError: If the format does not support the mesh or its fields.
        """
        path, steps = Path(path), max(1, len(self.times))
        if path.suffix.lower() == ".pvd":
            if not self.times:
                raise ValueError(
                    f"{path}: expected a time series for .pvd (got a single mesh); use .vtu"
                )
            write_time_collection(path, self.times, lambda file, step: self._write(file, step))
        elif steps > 1:
            raise ValueError(f"{path}: expected .pvd for a time series of {steps} steps")
        else:
            self._write(path, 0)

    def to_mesh(self, step: int | None = None) -> MeshData:
        """The mesh with the fields of :meth:`save`.

        Args:
            step: Number of the predicted time step, negative from the last; None for the only one.

        Raises:
            ValueError: If there is no such step, or there are several and none is given.
        """
        step = choose_step(self.times, step)
        out = MeshData(self.mesh.pos)
        out.origin = self.mesh.origin
        out.cell_index, out.cell_type = self.mesh.cell_index, self.mesh.cell_type
        prefix = CELL_PREFIX if self.on_cells else ""
        units = {}
        for name, (values, unit) in self._step_fields(step).items():
            out[prefix + name] = values[:, 0] if values.shape[1] == 1 else values
            if unit is not None:
                units[name] = unit
        out.units = units
        return out

    def _write(self, path: Path, step: int) -> None:
        out = self.to_mesh(step)
        if path.suffix.lower() in MARKED_SUFFIXES:
            out[PREDICTION_MARK] = torch.ones(1, 1, dtype=torch.uint8)
            for name, number in (("ood_score", self.ood_score), ("band_coverage", self.coverage)):
                if number is not None:
                    out[name] = torch.tensor([[number]])
        write_mesh(path, out)

    def _step_fields(self, step: int) -> dict[str, tuple[Tensor, str | None]]:
        """Fields of one step by their name in the file, with their units."""
        found: dict[str, tuple[Tensor, str | None]] = {}
        for name, series in self.predicted.items():
            unit, channels = self.units.get(name), series.shape[1] // max(1, len(self.times))
            part = slice(step * channels, (step + 1) * channels)
            found[predicted_name(name)] = series[:, part], unit
            if name in self.band:
                found[band_name(name)] = self.band[name][:, step : step + 1], unit
            truth = self.truth[name][:, part] if name in self.truth else series[:, :0]
            if truth.shape[1]:
                found[name] = truth, unit
                found[error_name(name)] = series[:, part] - truth, unit
        return found
