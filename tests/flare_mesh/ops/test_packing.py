import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flare_mesh.ops.layout import Layout, equal_layout


def packing_of(sizes):
    return Layout(torch.tensor([0, *sizes]).cumsum(0)).packing


def weighted_mean(x, bias):
    """The weighted mean of each graph, at each of its nodes; wrong where padding leaks."""
    shares = torch.ones(x.shape[:2]) if bias is None else bias.double().exp()
    shares = shares.to(x.dtype)[..., None]
    return ((x * shares).sum(1, keepdim=True) / shares.sum(1, keepdim=True)).expand_as(x)


@given(st.lists(st.integers(0, 12), max_size=8), st.booleans())
def test_functions_see_each_graph_alone(sizes, weighted):
    generator = torch.Generator().manual_seed(sum(sizes))
    x = torch.randn(sum(sizes), 2, generator=generator, dtype=torch.float64)
    weight = torch.rand(len(x), generator=generator) + 0.1 if weighted else None
    log_weight = None if weight is None else weight.log()
    out = packing_of(sizes).map(weighted_mean, x, log_weight=log_weight)
    shares = torch.ones(len(x), 1).double() if weight is None else weight.double()[:, None]
    expected = [
        ((s * part).sum(0) / s.sum()).expand_as(part)
        for part, s in zip(x.split(sizes), shares.split(sizes), strict=True)
    ]
    expected = torch.cat([x[:0], *expected])
    torch.testing.assert_close(out, expected, rtol=1e-6, atol=1e-6)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8).filter(any))
def test_values_of_graphs_return_to_their_places(sizes):
    packing = packing_of(sizes)
    numbers = torch.arange(len(sizes)) + 1
    packed = [numbers[group.graphs] for group in packing.groups]
    assert torch.equal(packing.unpack_graphs(packed), numbers * (torch.tensor(sizes) > 0))


@pytest.mark.parametrize("sizes", [[0, 0], [4], [3, 0, 9], [7, 7, 20]])
def test_values_of_graphs_come_from_nodes_and_go_to_them(sizes):
    x = torch.arange(1.0, sum(sizes) + 1)[:, None]
    packing, parts = packing_of(sizes), x.split(sizes)

    def total(x, bias):
        valid = torch.ones(x.shape[:2]) if bias is None else (bias > -1).float()
        return (x * valid[..., None]).sum(1)

    sums = packing.reduce(total, x)
    assert sums.expand(len(sizes), 1).tolist() == [[float(part.sum())] for part in parts]
    spread = packing.map(lambda x, bias, sums: x + sums[:, None], x, graphs=(sums,))
    expected = [part + part.sum() for part in parts]
    assert spread.equal(torch.cat(expected))


@pytest.mark.parametrize("sizes", [[5], [0, 5], [40, 3, 100], [7, 7, 0, 20, 20, 20]])
def test_graphs_are_copied_only_into_padded_tensors(sizes):
    def look(x, bias):
        assert bias is None
        assert x.data_ptr() in {rows.data_ptr() for rows in parts}
        return x

    x = torch.randn(sum(sizes), 2)
    parts = [rows for rows in x.split(sizes) if len(rows)]
    assert torch.equal(packing_of(sizes).map(look, x), x)


def test_graphs_of_similar_size_share_a_call():
    shapes = []

    def look(x, bias):
        shapes.append(tuple(x.shape))
        return x

    x = torch.randn(100 + 101 + 99 + 10, 2)
    assert torch.equal(packing_of([100, 10, 101, 99]).map(look, x), x)
    assert sorted(shapes) == [(1, 10, 2), (3, 101, 2)]


def test_equal_graphs_are_one_group():
    for layout in (equal_layout(3, 4, torch.device("cpu")), Layout(torch.tensor([0, 4, 8, 12]))):
        (group,) = layout.packing.groups
        x = torch.randn(12, 2)
        assert torch.equal(group.pack(x), x.view(3, 4, 2))
        assert layout.offsets == [0, 4, 8, 12]
