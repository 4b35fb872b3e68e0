"""Lengths, areas, volumes and centroids of cells, and quadrature weights of nodes."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.isoparametric import checked_cells, exact_degree, integrate


def cell_measures(pos: Tensor, cells: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Length, area or volume of each cell; 1 for a vertex.

    Integrates the Jacobian of the isoparametric map by Gauss quadrature. This is exact up to
    rounding, except for curved or warped lines and surfaces in a space of higher dimension, whose
    Jacobian is not a polynomial. Computed in float64, differentiable.

    Args:
        pos: Coordinates, [N, d]; d is 1, 2 or 3.
        cells: Connectivity [E, nodes] by meshio's cell type.

    Returns:
        [E] by type, in the dtype of ``pos``. The measure of inverted cells of dimension d is
        negative. Lines and surfaces in a space of higher dimension are positive.

    Raises:
        ValueError: If the cells do not fit the nodes.
    """
    return {
        kind: integrate(pos, nodes, kind, _ones).squeeze(-1).to(pos.dtype)
        for kind, nodes in checked_cells(pos, cells).items()
    }


def cell_centroids(pos: Tensor, cells: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Centroid of each cell; NaN for a cell without measure.

    Computed in float64, differentiable. Arguments and errors are the same as for
    :func:`cell_measures`.

    Returns:
        [E, d] by type, in the dtype of ``pos``.
    """
    centroids = {}
    for kind, nodes in checked_cells(pos, cells).items():
        # Shape functions of order 2 multiply the Jacobian.
        degree = exact_degree(kind, pos.shape[1]) + (2 if CELL_TYPES[kind].order == 2 else 0)
        share = integrate(pos, nodes, kind, degree=degree)
        share = share / share.sum(1, keepdim=True)
        # Relative to the first node: cells far from the origin would lose digits.
        centre = first = pos[nodes[:, 0]].double()
        for column in range(1, nodes.shape[1]):
            offset = pos[nodes[:, column]].double() - first
            centre = centre + share[:, column, None] * offset
        centroids[kind] = centre.to(pos.dtype)
    return centroids


def quadrature_weights(pos: Tensor, cells: Mapping[str, Tensor]) -> Tensor:
    """Quadrature weights of the nodes: the lumped mass matrix of a density of 1.

    First order: the row sums of the mass matrix, which are the integrals of the shape functions and
    integrate linear fields exactly. Second order: the diagonal of the mass matrix, scaled to the
    measure of the cell (Hinton, Rock and Zienkiewicz 1976), since row sums are negative or zero at
    corners.

    Only cells of the highest dimension contribute: if a solid has surface cells too, the solid. The
    contribution of inverted cells is positive, too. Computed in float64, differentiable.

    Args:
        pos: Coordinates, [N, d]; d is 1, 2 or 3.
        cells: Connectivity [E, nodes] by meshio's cell type.

    Returns:
        [N], in the dtype of ``pos``; the sum is the measure of the mesh. The weight is 0 at nodes
        without such a cell, and positive at others unless their cells have no measure.

    Raises:
        ValueError: If there are no cells, or they do not fit the nodes.
    """
    weights = torch.zeros(len(pos), dtype=torch.float64, device=pos.device)
    for kind, nodes in top_dimensional_cells(checked_cells(pos, cells)).items():
        if CELL_TYPES[kind].order == 1:
            share = integrate(pos, nodes, kind, absolute=True)
        else:
            share = integrate(pos, nodes, kind, _squares_and_ones, absolute=True)
            diagonal, measure = share[:, :-1], share[:, -1:]
            # A cell without measure has a zero diagonal.
            smallest = torch.finfo(torch.float64).tiny
            share = diagonal * (measure / diagonal.sum(1, keepdim=True).clamp(min=smallest))
        weights = weights.index_add(0, nodes.reshape(-1), share.reshape(-1))
    return weights.to(pos.dtype)


def top_dimensional_cells(cells: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The cells of the highest dimension.

    Raises:
        ValueError: If there are no cells.
    """
    present = {kind: nodes for kind, nodes in cells.items() if len(nodes)}
    if not present:
        raise ValueError("expected a mesh with cells (got none)")
    dim = max(CELL_TYPES[kind].dim for kind in present)
    return {kind: nodes for kind, nodes in present.items() if CELL_TYPES[kind].dim == dim}


def _ones(values: np.ndarray) -> np.ndarray:
    return np.ones((len(values), 1))


def _squares_and_ones(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values**2, _ones(values)], axis=1)
