from itertools import pairwise

import pytest
import torch

from flare_mesh.nn.sequence import places, size_limits
from flare_mesh.nn.sequence_convolution import SequenceConvolution
from flare_mesh.ops.layout import Layout, equal_layout


def test_places_and_sizes():
    layout = Layout(torch.tensor([0, 3, 3, 4, 6]))
    graph, place = places(layout, 6)
    assert graph.tolist() == [0, 0, 0, 2, 3, 3]
    assert place.tolist() == [0, 1, 2, 0, 0, 1]
    assert size_limits(layout, 6) == (0, 3)
    equal = equal_layout(2, 3, layout.ptr.device)
    assert places(equal, 6).place.tolist() == [0, 1, 2, 0, 1, 2]
    assert size_limits(equal, 6) == (3, 3)
    assert size_limits(Layout(torch.tensor([0])), 0) == (0, 0)


def test_a_convolution_stops_at_the_ends_of_each_graph():
    torch.manual_seed(0)
    ptr = [0, 4, 4, 5, 12]
    layout = Layout(torch.tensor(ptr))
    layer = SequenceConvolution(2, 5).double()
    value = torch.randn(12, 2, 3, dtype=torch.float64)
    expected = torch.zeros_like(value)
    for a, b in pairwise(ptr):
        for n in range(a, b):
            for t in range(-2, 3):
                if a <= n + t < b:
                    expected[n] += layer.kernel[:, 0, t + 2, None].detach() * value[n + t]
    torch.testing.assert_close(layer(value, layout, places(layout, 12)), expected)


@pytest.mark.parametrize("size", [0, 4])
def test_kernels_are_odd(size):
    with pytest.raises(ValueError, match=f"odd 'kernel_size' >= 1 .got {size}"):
        SequenceConvolution(2, size)
