"""Turns and mirrorings of positions, vectors and symmetric tensors."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.data.transforms.checks import node_field

_VOIGT = {2: ((0, 0), (1, 1), (0, 1)), 3: ((0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2))}


def voigt_matrix(matrix: Tensor) -> Tensor:
    """What turns the components of a symmetric tensor, [6, 6] (in the plane [3, 3]).

    ``T' = R T R^T`` in the components xx, yy, zz, xy, yz, xz (in the plane xx, yy, xy).

    Args:
        matrix: R, [d, d].
    """
    i, j = torch.tensor(_VOIGT[len(matrix)]).T
    turned = matrix[i][:, i] * matrix[j][:, j]
    return turned + matrix[i][:, j] * matrix[j][:, i] * (i != j)


def apply_orthogonal(
    data: Data,
    matrix: Tensor,
    vectors: Mapping[str, Sequence[int]],
    tensors: Mapping[str, Sequence[int]],
    name: str,
) -> None:
    """Applies R to vectors and to symmetric tensors at the nodes; sets the fields anew.

    Args:
        data: The mesh; receives new tensors.
        matrix: R, orthogonal, [d, d] in float64.
        vectors: First of the d columns of each vector, by field.
        tensors: First of the columns of each symmetric tensor, by field; see
            :func:`voigt_matrix`.
        name: Of the transform, for messages.

    Raises:
        ValueError: If a field is missing or has too few columns.
    """
    turned: dict[str, Tensor] = {}
    for factor, columns in ((matrix, vectors), (voigt_matrix(matrix), tensors)):
        for field, firsts in columns.items():
            old = node_field(data, field, name)
            for first in firsts:
                stop = first + len(factor)
                if old.dim() != 2 or stop > old.shape[1]:
                    raise ValueError(
                        f"{name}: expected '{field}' to have columns {first} to {stop - 1} "
                        f"(got shape {list(old.shape)})"
                    )
                new = turned.setdefault(field, old.clone())
                new[:, first:stop] = old[:, first:stop] @ factor.T.to(old)
    for field, values in turned.items():
        data[field] = values
