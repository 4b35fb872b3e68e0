"""Inverse of a dense stiffness matrix."""

import torch
from torch import Tensor


def symmetric_inverse(matrix: Tensor, free: Tensor, *, singular: bool = False) -> Tensor:
    """Inverse of a symmetric matrix between its free rows, zero in the others.

    Args:
        matrix: Positive semidefinite between the free rows, [n, n].
        free: [n], bool.
        singular: Whether the matrix is singular. Otherwise only a matrix that is not positive
            definite to rounding, such as that of a mechanism, has the pseudoinverse.
    """
    index = torch.nonzero(free)[:, 0]
    part = matrix if len(index) == len(matrix) else matrix[index[:, None], index]
    factor, failed = torch.linalg.cholesky_ex(part)
    inverse = (
        torch.linalg.pinv(part, hermitian=True, rtol=1e-10)
        if singular or failed
        else torch.cholesky_inverse(factor)
    )
    if len(index) == len(matrix):
        return inverse
    out = torch.zeros_like(matrix)
    out[index[:, None], index] = inverse
    return out
