"""Resolution of coordinates in float32."""

import numpy as np
from numpy.typing import NDArray

_SHARE = 1e-3  # of the length of the shortest edges, which rounding may change
_FAR = 8  # distance from the origin over the extent, from where a nearer origin helps


def check_resolution(
    points: NDArray[np.floating], cell_index: NDArray[np.integer], cell_sizes: NDArray[np.integer]
) -> None:
    """Refuse coordinates far from the origin, such as UTM, whose edges float32 does not resolve.

    Args:
        points: Coordinates [N, 3] in float64.
        cell_index: Nodes of all cells.
        cell_sizes: Number of nodes of each cell.

    Raises:
        ValueError: If rounding to float32 moves a point by more than a thousandth of the shortest
            edges, and the mesh is far from the origin.
    """
    if not len(points):
        return
    low, high = points.min(0), points.max(0)
    extent, largest = float((high - low).max()), float(np.abs([low, high]).max())
    if largest <= _FAR * extent or not extent:
        return
    moved = float(np.abs(points.astype(np.float32) - points).max())
    length = _edge_length(points, cell_index, cell_sizes) or extent / len(points) ** (1 / 3)
    if moved <= _SHARE * length:
        return
    digits = 10.0 ** np.floor(np.log10(extent))
    near = tuple(float(value) for value in np.floor((low + high) / 2 / digits) * digits)
    raise ValueError(
        f"float32 resolves coordinates of {largest:,.0f} to {2 * moved:.2g} only, which is too "
        f"coarse for edges of {length:.2g}; give a point near the mesh that is subtracted in "
        f"float64, such as origin={near}, or read the mesh with dtype=torch.float64"
    )


def _edge_length(
    points: NDArray[np.floating], cell_index: NDArray[np.integer], cell_sizes: NDArray[np.integer]
) -> float:
    """Length that one in a hundred pairs of successive nodes of a cell is shorter than."""
    inside = np.ones(len(cell_index), dtype=bool)
    inside[np.cumsum(cell_sizes) - 1] = False
    first = np.flatnonzero(inside)
    vectors = points[cell_index[first + 1]] - points[cell_index[first]]
    lengths = np.linalg.norm(vectors, axis=1)
    lengths = lengths[lengths > 0]
    return float(np.quantile(lengths, 0.01)) if len(lengths) else 0.0
