"""Numbers that describe a case as a whole: its shape, its inputs, and the hidden features."""

from itertools import product

import torch
from torch import Tensor
from torch_geometric.data import Data

_DEGREE = 4
_CHUNK = 262_144  # nodes


def describe_case(case: Data, latent: tuple[Tensor, Tensor] | None = None) -> dict[str, Tensor]:
    r"""Descriptors of a case, which depend neither on its position nor on the order of its nodes.

    =============  ============================================================================
    ``"shape"``    logarithms of the extents and of the measure, if there are quadrature weights,
                   and the means of the products of Legendre polynomials up to a total degree of
                   four, of the coordinates in the bounding box from -1 to 1
    ``"inputs"``   mean and standard deviation of each channel of x
    ``"features"`` mean and standard deviation of the model's last hidden features
    =============  ============================================================================

    Means are over the nodes, weighted by the quadrature weights if there are any.

    Args:
        case: The case, with ``pos`` [N, d] and possibly ``x`` [N, F] and ``weight`` [N].
        latent: Mean and standard deviation of the hidden features, [C] each.

    Returns:
        A vector in float64 for each kind that exists.
    """
    pos = case.pos
    assert isinstance(pos, Tensor)
    given = case.weight if "weight" in case else None
    weight = pos.new_ones(len(pos)).double() if given is None else given.double()
    total = weight.sum()
    weight = weight / total
    low, high = pos.amin(0).double(), pos.amax(0).double()
    extent = high - low
    sizes = (extent + 1e-6 * extent.max()).clamp_min(1e-300).log()
    shape = [sizes, _moments(pos, weight, (low + high) / 2, extent / 2)]
    if given is not None:
        shape.append(total.log()[None])
    found = {"shape": torch.cat(shape).cpu()}
    if isinstance(case.x, Tensor) and case.x.shape[1]:
        x = case.x.double()
        mean = weight @ x
        found["inputs"] = torch.cat([mean, (weight @ (x - mean).square()).sqrt()]).cpu()
    if latent is not None:
        found["features"] = torch.cat([*latent])
    return found


def _moments(pos: Tensor, weight: Tensor, middle: Tensor, half: Tensor) -> Tensor:
    """Means of the products of Legendre polynomials of the relative coordinates."""
    powers = [
        degrees
        for degrees in product(range(_DEGREE + 1), repeat=pos.shape[1])
        if 0 < sum(degrees) <= _DEGREE
    ]
    sums = weight.new_zeros(len(powers))
    half = torch.where(half > 0, half, torch.inf)
    for part, share in zip(pos.split(_CHUNK), weight.split(_CHUNK), strict=True):
        t = (part.double() - middle) / half
        table = [torch.ones_like(t), t]
        for n in range(1, _DEGREE):
            table.append(((2 * n + 1) * t * table[n] - n * table[n - 1]) / (n + 1))
        for number, degrees in enumerate(powers):
            values = share
            for axis, degree in enumerate(degrees):
                if degree:
                    values = values * table[degree][:, axis]
            sums[number] += values.sum()
    return sums
