"""Lengths, areas, volumes and centroids of cells, and what share of them each node has."""

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.isoparametric import checked_cells, exact_degree, integrate


def cell_measures(pos: Tensor, cells: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Length, area or volume of each cell; 1 for a vertex.

    The integral of the Jacobian of the isoparametric map by Gauss' quadrature: exact but for
    rounding, save for curved or warped lines and surfaces in a space of more dimensions, whose
    Jacobian is no polynomial. Computed in float64, differentiable.

    Args:
        pos: Coordinates, [N, d]; d is 1, 2 or 3.
        cells: Connectivity [E, nodes] by meshio's cell type.

    Returns:
        [E] by type, in the dtype of ``pos``. Cells of dimension d have a sign: negative where they
        are inside out. Lines and surfaces in a space of more dimensions are positive.

    Raises:
        ValueError: If the cells are no cells of a mesh with these nodes.
    """
    return {
        kind: integrate(pos, nodes, kind, _one).squeeze(-1).to(pos.dtype)
        for kind, nodes in checked_cells(pos, cells).items()
    }


def cell_centroids(pos: Tensor, cells: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Centre of mass of each cell.

    Computed in float64, differentiable. NaN for a cell without measure.

    Args:
        pos: Coordinates, [N, d]; d is 1, 2 or 3.
        cells: Connectivity [E, nodes] by meshio's cell type.

    Returns:
        [E, d] by type, in the dtype of ``pos``.

    Raises:
        ValueError: If the cells are no cells of a mesh with these nodes.
    """
    centroids = {}
    for kind, nodes in checked_cells(pos, cells).items():
        # With middle nodes, shape functions of order 2 beside the Jacobian.
        degree = exact_degree(kind, pos.shape[1]) + (2 if CELL_TYPES[kind].order == 2 else 0)
        share = integrate(pos, nodes, kind, _shape, degree=degree)
        share = share / share.sum(1, keepdim=True)
        first = pos[nodes[:, 0]].double()
        # From the first node, lest the distance from the origin cost digits.
        centre = first
        for column in range(1, nodes.shape[1]):
            offset = pos[nodes[:, column]].double() - first
            centre = centre + share[:, column, None] * offset
        centroids[kind] = centre.to(pos.dtype)
    return centroids


def quadrature_weights(pos: Tensor, cells: Mapping[str, Tensor]) -> Tensor:
    """Each node's share of the length, area or volume: the lumped mass of a density of 1.

    First order: the row sums of the mass matrix, the integrals of the shape functions, with which
    fields linear in the coordinates are integrated exactly. Second order: the diagonal of the mass
    matrix, scaled to the measure of the cell (Hinton, Rock and Zienkiewicz 1976), since row sums
    are negative or zero at corners.

    Only cells of the highest dimension that occurs count: of a solid with its surface, the solid.
    Their Jacobian counts as positive, whichever way they are oriented. Computed in float64,
    differentiable.

    Args:
        pos: Coordinates, [N, d]; d is 1, 2 or 3.
        cells: Connectivity [E, nodes] by meshio's cell type.

    Returns:
        [N], in the dtype of ``pos``; the sum is the measure of the mesh. 0 for a node of no such
        cell, positive for the others unless their cells have no measure.

    Raises:
        ValueError: If there are no cells, or they are no cells of a mesh with these nodes.
    """
    weights = torch.zeros(len(pos), dtype=torch.float64, device=pos.device)
    for kind, nodes in top_dimensional_cells(checked_cells(pos, cells)).items():
        if CELL_TYPES[kind].order == 1:
            share = integrate(pos, nodes, kind, _shape, absolute=True)
        else:
            share = integrate(pos, nodes, kind, _squares_and_one, absolute=True)
            diagonal, measure = share[:, :-1], share[:, -1:]
            # A cell without measure has no diagonal either.
            smallest = torch.finfo(torch.float64).tiny
            share = diagonal * (measure / diagonal.sum(1, keepdim=True).clamp(min=smallest))
        weights = weights.index_add(0, nodes.reshape(-1), share.reshape(-1))
    return weights.to(pos.dtype)


def top_dimensional_cells(cells: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The cells of the highest dimension that occurs.

    Raises:
        ValueError: If there are no cells.
    """
    present = {kind: nodes for kind, nodes in cells.items() if len(nodes)}
    if not present:
        raise ValueError("expected a mesh with cells (got none)")
    dim = max(CELL_TYPES[kind].dim for kind in present)
    return {kind: nodes for kind, nodes in present.items() if CELL_TYPES[kind].dim == dim}


def _one(values: np.ndarray) -> np.ndarray:
    return np.ones((len(values), 1))


def _shape(values: np.ndarray) -> np.ndarray:
    return values


def _squares_and_one(values: np.ndarray) -> np.ndarray:
    return np.concatenate([values**2, _one(values)], axis=1)
