"""The motions that do not strain a body."""

import torch
from torch import Tensor


def rigid_motions(points: Tensor, free: Tensor) -> Tensor:
    """Three translations and three rotations, orthonormal over the free nodes.

    Args:
        points: [N, 3], mm.
        free: Nodes that count, [N]; the motions are zero at the others.

    Shapes:
        Returns [3 N, 6], component by component.
    """
    centre = points[free].mean(dim=0)
    x, y, z = ((points - centre) * free[:, None]).T
    one, zero = free.to(points), torch.zeros_like(x)
    columns = [
        (one, zero, zero), (zero, one, zero), (zero, zero, one),
        (-y, x, zero), (zero, -z, y), (z, zero, -x),
    ]  # fmt: skip
    matrix = torch.stack([torch.cat(column) for column in columns], dim=1)
    return torch.linalg.qr(matrix)[0]
