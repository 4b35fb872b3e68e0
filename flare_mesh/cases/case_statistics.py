"""Numbers that describe a case: its mesh, and the sizes of its fields."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from flare_mesh.mesh import MeshData
from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.geometry import top_dimensional_cells

_LEVELS = 16  # different values, above which they are not counted
_REPEATS = 8  # times that they must occur on average
_FLAT = 1e-6  # extent of a plane along its normal, over the largest


@dataclass(frozen=True)
class FieldStatistics:
    """A field of a case.

    Attributes:
        place: ``"node"``, ``"cell"``, or ``"case"`` for a field of the whole case.
        channels: Number of channels.
        finite: Whether all values are finite; the other statistics are of the finite ones.
        rms: Root mean square over points and channels.
        median: Median over the points of the magnitude.
        high: 99th percentile over the points of the magnitude.
        positive: Whether all values are positive.
        values: Values of a field of the whole case, else empty.
        extremes: Numbers that a result could be reported as: largest, smallest and mean value, mean
            by the quadrature weights and root mean square, of the magnitude and of each channel.
        levels: Number of different values of a node or cell field of one channel, if they are at
            most 16 that occur 8 times on average, else 0.
    """

    place: str
    channels: int
    finite: bool
    rms: float
    median: float
    high: float
    positive: bool
    values: tuple[float, ...]
    extremes: Mapping[str, float]
    levels: int = 0

    @property
    def means(self) -> list[float]:
        """Mean over the points of each channel."""
        return [
            value
            for label, value in self.extremes.items()
            if label == "mean value" or label.startswith("mean channel ")
        ]


@dataclass(frozen=True)
class CaseStatistics:
    """A case.

    Attributes:
        name: Its name.
        num_nodes: Number of nodes.
        cells: Number of cells of each type.
        kind: ``"volume"``, ``"surface"``, ``"plane"``, or ``"points"`` without cells.
        low: Smallest coordinates, in float64.
        high: Largest coordinates, in float64.
        measure: Volume, area or length; 0 without cells.
        fields: Its fields.
    """

    name: str
    num_nodes: int
    cells: Mapping[str, int]
    kind: str
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    measure: float
    fields: Mapping[str, FieldStatistics]

    @property
    def extents(self) -> NDArray[np.float64]:
        """Extents of the bounding box."""
        return self.high - self.low


def case_statistics(name: str, mesh: MeshData) -> CaseStatistics:
    """The statistics of a case and of all its fields of real numbers.

    Args:
        name: Name of the case.
        mesh: The case.
    """
    pos = mesh.pos.double()
    low, high = pos.amin(0).numpy(), pos.amax(0).numpy()
    kind = _kind(mesh, high - low)
    weights = None if kind == "points" else mesh.quadrature_weights.double()
    measures = None if kind == "points" else mesh.measures.abs().double()
    fields = {
        # A recipe takes a node field before a cell field of the same name.
        **{f: _field("cell", v, measures) for f, v in mesh.cell_fields.items() if _is_real(v)},
        **{f: _field("case", v, None) for f, v in mesh.case_fields.items() if _is_field(f, v)},
        **{f: _field("node", v, weights) for f, v in mesh.node_fields.items() if _is_field(f, v)},
    }
    return CaseStatistics(
        name,
        len(pos),
        {cell: len(nodes) for cell, nodes in mesh.cells.items()},
        kind,
        low,
        high,
        0.0 if weights is None else float(weights.sum()),
        fields,
    )


def _kind(mesh: MeshData, extents: NDArray[np.float64]) -> str:
    if not mesh.num_cells:
        return "points"
    dim = CELL_TYPES[next(iter(top_dimensional_cells(mesh.cells)))].dim
    if dim < 2:
        return "points"
    flat = len(extents) == 2 or extents.min() <= _FLAT * extents.max()
    return "volume" if dim == 3 else "plane" if flat else "surface"


def _is_real(values: Tensor) -> bool:
    return values.numel() > 0 and not values.is_complex() and values.dim() > 0


def _is_field(name: str, values: Tensor) -> bool:
    return _is_real(values) and name not in ("weight", "cell_index", "cell_type")


def _field(place: str, values: Tensor, weights: Tensor | None) -> FieldStatistics:
    rows = values.reshape(len(values), -1).double()
    channels = rows.shape[1]
    good = rows.isfinite().all(dim=1)
    finite = bool(good.all())
    if not finite:
        rows = rows[good]
        weights = None if weights is None else weights[good]
    if not len(rows):
        return FieldStatistics(place, channels, False, 0.0, 0.0, 0.0, False, (), {})
    size = rows.norm(dim=1)
    numbers = _extremes("magnitude", size, weights) if channels > 1 else {}
    for channel in range(channels):
        label = "value" if channels == 1 else f"channel {channel}"
        numbers |= _extremes(label, rows[:, channel], weights)
    high, median = (torch.from_numpy(np.quantile(size.numpy(), [0.99, 0.5]))).tolist()
    return FieldStatistics(
        place,
        channels,
        finite,
        float(rows.square().mean().sqrt()),
        median,
        high,
        bool((rows > 0).all()),
        tuple(rows[0].tolist()) if place == "case" else (),
        numbers,
        0 if place == "case" or channels > 1 else _count_levels(rows),
    )


def _count_levels(rows: Tensor) -> int:
    count = len(rows.unique())
    return count if count <= _LEVELS and _REPEATS * count <= len(rows) else 0


def _extremes(label: str, values: Tensor, weights: Tensor | None) -> dict[str, float]:
    found = {
        f"largest {label}": float(values.max()),
        f"smallest {label}": float(values.min()),
        f"largest absolute {label}": float(values.abs().max()),
        f"mean {label}": float(values.mean()),
        f"root mean square {label}": float(values.square().mean().sqrt()),
    }
    total = 0.0 if weights is None else float(weights.sum())
    if weights is not None and total > 0:
        found[f"weighted mean {label}"] = float((values * weights).sum()) / total
    return found
