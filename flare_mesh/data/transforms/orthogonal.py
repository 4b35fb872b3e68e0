"""Rotations and reflections of positions, vectors, symmetric tensors and cells."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.data.transforms.checks import node_field
from flare_mesh.mesh.cell_storage import reflect_cells

_VOIGT = {2: ((0, 0), (1, 1), (0, 1)), 3: ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))}


def voigt_matrix(matrix: Tensor) -> Tensor:
    """Matrix [6, 6] that transforms the components of a symmetric tensor; [3, 3] in the plane.

    ``T' = R T R^T`` in the components xx, yy, zz, xy, yz, xz (in the plane xx, yy, xy).

    Args:
        matrix: R, [d, d].
    """
    i, j = torch.tensor(_VOIGT[len(matrix)]).T
    rotated = matrix[i][:, i] * matrix[j][:, j]
    return rotated + matrix[i][:, j] * matrix[j][:, i] * (i != j)


def apply_orthogonal(
    data: Data,
    matrix: Tensor,
    vectors: Mapping[str, Sequence[int]],
    tensors: Mapping[str, Sequence[int]],
    name: str,
) -> None:
    """Rotate or reflect vectors and symmetric tensors at the nodes, and the orientation of cells.

    Args:
        data: The mesh; receives new tensors.
        matrix: R, orthogonal, [d, d] in float64.
        vectors: First of the d columns of each vector, by field.
        tensors: First of the columns of each symmetric tensor, by field; see
            :func:`voigt_matrix`.
        name: The transform's name, for messages.

    Raises:
        ValueError: If a field is missing or has too few columns.
    """
    multiply_columns(data, ((matrix, vectors), (voigt_matrix(matrix), tensors)), name)
    if torch.linalg.det(matrix) < 0:
        reflect_orientation(data)


def multiply_columns(
    data: Data, factors: Iterable[tuple[Tensor, Mapping[str, Sequence[int]]]], name: str
) -> None:
    """Multiply groups of columns of node fields by matrices.

    Args:
        data: The mesh; receives new tensors.
        factors: Matrices [n, n], each with the first of its n columns by field.
        name: The transform's name, for messages.

    Raises:
        ValueError: If a field is missing or has too few columns.
    """
    results: dict[str, Tensor] = {}
    for factor, columns in factors:
        for field, firsts in columns.items():
            old = node_field(data, field, name)
            for first in firsts:
                stop = first + len(factor)
                if old.dim() != 2 or stop > old.shape[1]:
                    raise ValueError(
                        f"{name}: expected '{field}' to have columns {first} to {stop - 1} "
                        f"(got shape {list(old.shape)})"
                    )
                new = results.setdefault(field, old.clone())
                new[:, first:stop] = old[:, first:stop] @ factor.T.to(old)
    for field, values in results.items():
        data[field] = values


def reflect_orientation(data: Data) -> None:
    """Reorder the nodes of all cells, and of PyG's ``face`` [3, F], after a reflection."""
    if isinstance(data.face, Tensor):
        data.face = data.face[[0, 2, 1]]
    if "cell_index" in data:
        data["cell_index"] = reflect_cells(data["cell_index"], data["cell_type"])
