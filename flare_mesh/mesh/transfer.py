"""Transfer of fields from cells to nodes and from nodes to cells.

A cell field is one tensor [E, ...] over all cells: first the cells of the first type in ``cells``,
then the cells of the second type, and so on.
"""

from collections.abc import Mapping
from math import prod

import torch
from torch import Tensor

from flare_mesh.mesh.cells import CELL_TYPES, check_cells
from flare_mesh.mesh.geometry import cell_measures
from flare_mesh.mesh.shape_functions import quadrature, shape_functions


def cell_to_node(
    values: Tensor, pos: Tensor, cells: Mapping[str, Tensor], *, fill_value: float = float("nan")
) -> Tensor:
    """Means over the cells at each node, weighted by their length, area or volume.

    Only the cells of the highest dimension at a node count: if a solid has surface cells too, the
    solid.

    Args:
        values: Real values on the cells, [E, ...], one type of cell after the other.
        pos: Coordinates, [N, d].
        cells: Connectivity [E_kind, nodes] by meshio's cell type.
        fill_value: Value at nodes without a cell of positive measure.

    Returns:
        [N, ...], in the dtype of ``values``.

    Raises:
        ValueError: If there is not one real row per cell, or the cells do not fit the nodes.
    """
    _check_real(values)
    sizes = [len(nodes) for nodes in cells.values()]
    if len(values) != sum(sizes):
        raise ValueError(
            f"expected a row for each of {sum(sizes)} cells (got values of shape "
            f"{list(values.shape)})"
        )
    width = prod(values.shape[1:])
    parts = dict(zip(cells, values.split(sizes), strict=True))
    measures = cell_measures(pos.double(), cells)
    result = values.new_full((len(pos), *values.shape[1:]), fill_value)
    for dim in sorted({CELL_TYPES[kind].dim for kind in cells}):
        weight = torch.zeros(len(pos), dtype=torch.float64, device=pos.device)
        total = weight.new_zeros(len(pos), width)
        for kind in (kind for kind in cells if CELL_TYPES[kind].dim == dim):
            measure = measures[kind].abs()
            moment = parts[kind].double().reshape(-1, width) * measure[:, None]
            for nodes in cells[kind].long().unbind(1):
                weight.index_add_(0, nodes, measure)
                total.index_add_(0, nodes, moment)
        there = weight > 0
        mean = total[there] / weight[there, None]
        result = result.index_put((there,), mean.to(values.dtype).reshape(-1, *values.shape[1:]))
    return result


def node_to_cell(values: Tensor, cells: Mapping[str, Tensor]) -> Tensor:
    """Interpolate nodal values at the centroid of the reference cell, by the shape functions.

    For first-order cells this is the mean over the nodes, except for pyramids, whose apex has a
    quarter of the weight. The result is exact at the centroid of affine cells, such as all
    straight triangles and tetrahedra, for linear fields, and for quadratic fields with middle
    nodes.

    Args:
        values: Real values on the nodes, [N, ...].
        cells: Connectivity [E_kind, nodes] by meshio's cell type.

    Returns:
        [E, ...], one type of cell after the other, in the dtype of ``values``.

    Raises:
        ValueError: If the values are not real, or the cells do not fit the N nodes.
    """
    _check_real(values)
    check_cells(cells, len(values))
    rows = [values[:0]]
    for kind, nodes in cells.items():
        shares = shape_functions(kind, quadrature(kind, 1)[0])[0].tolist()
        total = values.new_zeros(len(nodes), *values.shape[1:], dtype=torch.float64)
        for share, column in zip(shares, nodes.long().unbind(1), strict=True):
            total = total.add(values[column], alpha=share)
        rows.append(total.to(values.dtype))
    return torch.cat(rows)


def _check_real(values: Tensor) -> None:
    if values.dim() == 0 or not values.is_floating_point():
        raise ValueError(
            f"expected real values [rows, ...] (got {list(values.shape)} of {values.dtype})"
        )
