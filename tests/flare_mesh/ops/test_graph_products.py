from itertools import pairwise

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.ops.graph_products import GraphProducts
from flare_mesh.ops.layout import Layout, equal_layout

SIZES = st.lists(st.integers(0, 9) | st.integers(30, 70), max_size=6)


def numbers(*shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def layout_of(sizes):
    return Layout(torch.tensor([0, *sizes]).cumsum(0))


@settings(max_examples=40, deadline=None)
@given(SIZES)
def test_against_a_loop_over_graphs(sizes):
    layout, n = layout_of(sizes), sum(sizes)
    products = layout.products(n)
    left, right = numbers(n, 2, 3), numbers(n, 2, 4, seed=1)
    matrices = numbers(len(sizes), 2, 3, 4, seed=2)
    values = numbers(n, 2, seed=3) - 100.0
    sums, read = products.sums(left, right), products.multiply(left, matrices)
    largest = products.maxima(values)
    assert sums.shape == (len(sizes), 2, 3, 4)
    assert read.shape == (n, 2, 4)
    bounds = layout.ptr.tolist()
    for g, (a, b) in enumerate(pairwise(bounds)):
        torch.testing.assert_close(sums[g], torch.einsum("nhd,nhe->hde", left[a:b], right[a:b]))
        torch.testing.assert_close(read[a:b], torch.einsum("nhd,hde->nhe", left[a:b], matrices[g]))
        if b > a:
            assert torch.equal(largest[a:b], values[a:b].amax(0).expand(b - a, -1))


def test_equal_graphs_need_no_blocks():
    left, right = numbers(12, 1, 2), numbers(12, 1, 3)
    ragged = GraphProducts(torch.tensor([0, 4, 8, 12]), 12)
    assert ragged.slot is not None
    for layout in (equal_layout(3, 4, left.device), layout_of([4, 4, 4])):
        products = layout.products(12)
        assert products.slot is None
        assert layout.products(12) is products  # made once for all layers
        torch.testing.assert_close(products.sums(left, right), ragged.sums(left, right))
        for weight in (None, numbers(12, seed=4)):
            averages = products.averages(left, right, weight)
            torch.testing.assert_close(averages, ragged.averages(left, right, weight))


def test_blocks_are_few():
    for sizes in ([1000, 3, 40], [1] * 100, [0, 500, 0, 499]):
        products = layout_of(sizes).products(sum(sizes))
        assert products.num_blocks * products.length <= 1.25 * sum(sizes) + len(sizes)
        assert products.num_blocks <= 5 * len(sizes)


def test_gradients():
    products = layout_of([3, 0, 5]).products(8)
    left, right = (numbers(8, 1, 2, seed=s).requires_grad_() for s in (0, 1))
    matrices = numbers(3, 1, 2, 2, seed=2).requires_grad_()
    assert torch.autograd.gradcheck(products.sums, (left, right))
    assert torch.autograd.gradcheck(products.multiply, (left, matrices))


def test_a_graph_takes_nothing_from_its_neighbour():
    left = numbers(6, 1, 2)
    left[4:] = torch.nan
    sums = layout_of([4, 2]).products(6).sums(left, left)
    assert bool(sums[0].isfinite().all())
    assert bool(sums[1].isnan().all())
