"""A case as a report shows it: fields with truth, prediction, error and band on a mesh."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from flare_mesh.mesh import MeshData
from flare_mesh.prediction import Prediction
from flare_mesh.visualize.dataset import to_grid

KINDS = {
    "truth": "truth",
    "prediction": "prediction",
    "error": "error",
    "band": "half-width of the band",
}
"""Names of what is shown of a field."""

_DISPLACEMENT = "displacement"


@dataclass(frozen=True)
class FieldView:
    """One field of a case, at its last time step.

    Attributes:
        name: Name of the field.
        predicted: Predicted values, [N, C].
        truth: True values [N, C]; None if they are unknown.
        band: Half-width of the band, [N]; None without.
        unit: Unit; empty if it is not known.
    """

    name: str
    predicted: NDArray[np.float64]
    truth: NDArray[np.float64] | None = None
    band: NDArray[np.float64] | None = None
    unit: str = ""

    @property
    def title(self) -> str:
        """Name of the values in colours: the field's, or of its norm or first component."""
        channels = self.predicted.shape[1]
        if channels == 1:
            return self.name
        return f"norm of {self.name}" if channels <= 3 else f"{self.name}, component 0"

    def scalars(self) -> dict[str, NDArray[np.float64]]:
        """Truth, prediction, error and band, as scalars [N] by the names in KINDS."""
        found = {} if self.truth is None else {"truth": _scalar(self.truth)}
        found["prediction"] = _scalar(self.predicted)
        if self.truth is not None:
            found["error"] = _scalar(self.predicted - self.truth)
        if self.band is not None:
            found["band"] = self.band
        return found


@dataclass(frozen=True)
class CaseView:
    """A case with its predicted fields.

    Attributes:
        title: Headline, such as ``best: part_3``.
        mesh: Points and cells.
        fields: The fields.
        on_cells: Whether the fields are in the cells.
        notes: Remarks below the headline.
    """

    title: str
    mesh: MeshData
    fields: Sequence[FieldView]
    on_cells: bool = False
    notes: Sequence[str] = field(default_factory=tuple)

    def grid(self) -> Any:
        """Points and cells without fields as a PyVista grid."""
        plain = MeshData(self.mesh.pos)
        plain.cell_index, plain.cell_type = self.mesh.cell_index, self.mesh.cell_type
        return to_grid(plain)

    def is_deformed_by(self, one: FieldView) -> bool:
        """Whether a field is a displacement of the nodes, by which the shape is deformed."""
        return one.name == _DISPLACEMENT and not self.on_cells and one.predicted.shape[1] in (2, 3)

    def warps(self) -> dict[str, NDArray[np.float64]]:
        """Predicted and true displacement [N, 3] at the nodes, if there is such a field."""
        found = next(filter(self.is_deformed_by, self.fields), None)
        if found is None:
            return {}
        warps = {"prediction": _in_space(found.predicted)}
        truth = found.predicted if found.truth is None else found.truth
        return {**warps, "truth": _in_space(truth)}


def view_of(prediction: Prediction, *, title: str = "", notes: Sequence[str] = ()) -> CaseView:
    """The last time step of a prediction."""
    steps = max(1, len(prediction.times))
    fields = []
    for name, values in prediction.predicted.items():
        channels = values.shape[1] // steps
        truth = prediction.truth.get(name)
        # The truth of a time series may end before its prediction.
        known = truth is not None and truth.shape[1] == values.shape[1]
        band = prediction.band.get(name)
        fields.append(
            FieldView(
                name,
                _array(values[:, -channels:]),
                _array(truth[:, -channels:]) if truth is not None and known else None,
                None if band is None else _array(band)[:, -1],
                prediction.units.get(name, ""),
            )
        )
    return CaseView(title or prediction.name, prediction.mesh, fields, prediction.on_cells, notes)


def _array(values: Tensor) -> NDArray[np.float64]:
    return values.detach().cpu().double().numpy()


def _scalar(values: NDArray[np.float64]) -> NDArray[np.float64]:
    if values.shape[1] == 1:
        return values[:, 0]
    return np.linalg.norm(values, axis=1) if values.shape[1] <= 3 else values[:, 0]


def _in_space(values: NDArray[np.float64]) -> NDArray[np.float64]:
    full = np.zeros((len(values), 3))
    full[:, : values.shape[1]] = values
    return full
