from itertools import product

import pytest
import torch

from flare_mesh.nn.grid_convolution import GridConvolution


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 2)])
def test_sums_over_neighbouring_nodes(shape):
    torch.manual_seed(0)
    layer = GridConvolution(2, shape).double()
    kernel, bias = layer.convolution.weight, layer.convolution.bias
    places = list(product(*map(range, shape)))  # row-major
    row = {place: index for index, place in enumerate(places)}
    x = torch.randn(2, len(places), 2, dtype=torch.float64)
    got = layer(x.flatten(0, 1)).view_as(x)
    with torch.no_grad():  # another order of the memory
        torch.testing.assert_close(layer(x.flatten(0, 1)).view_as(x), got)
    for grid, place in product(range(2), places):
        want = bias
        for offset in product(range(3), repeat=len(shape)):
            other = tuple(p + o - 1 for p, o in zip(place, offset, strict=True))
            if other in row:
                want = want + kernel[(..., *offset)] @ x[grid, row[other]]
        torch.testing.assert_close(got[grid, row[place]], want)


def test_no_nodes():
    assert GridConvolution(2, (3, 4))(torch.zeros(0, 2)).shape == (0, 2)
