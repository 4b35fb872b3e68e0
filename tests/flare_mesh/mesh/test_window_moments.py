import math

import pytest
import torch

from flare_mesh.mesh.window_moments import window_moments

WIDTH = 1 / 12


def sums(points, mass, at, width):
    """The sums of the docstring."""
    offset = points - at[:, None]
    density = (2 * math.pi * width**2) ** (points.shape[1] / 2)
    shares = mass * (-offset.square().sum(2) / 2 / width**2).exp() / density
    total = shares.sum(1)
    mean = (shares[:, :, None] * offset).sum(1) / total[:, None]
    square = (shares[:, :, None] * offset**2).sum(1) / total[:, None]
    return total, mean / width, (square - mean**2) / width**2


@pytest.mark.parametrize("thin", [0, 1])
@pytest.mark.parametrize("dim", [1, 2, 3])
def test_against_the_sums(dim, thin):
    """A graded block, or one that is flat in a direction and not in the middle of a cell."""
    axis = (torch.arange(16, dtype=torch.float64) + 0.5) / 16 - 0.5
    points = torch.cartesian_prod(*[axis] * dim).view(-1, dim)
    if thin:
        points[:, -1] = 0.01
    mass = (1 + points[:, 0]) / len(points)
    at = points[:: max(1, len(points) // 24)]
    for window, got in enumerate(window_moments(points, mass, at, WIDTH, 2)):
        density, mean, variance = sums(points, mass, at, 2**window * WIDTH)
        tolerances = 0.03 + 0.05 * thin, 0.05, 0.1
        wanted = torch.ones_like(density), mean, variance
        for a, b, tolerance in zip((got[0] / density, *got[1:]), wanted, tolerances, strict=True):
            assert float((a - b).abs().max()) < tolerance
