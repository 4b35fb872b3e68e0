import pytest
import torch

from flare_mesh.ops.layout import Layout
from flare_mesh.ops.space_curve import bits_of, curve_order, hilbert_index


@pytest.mark.parametrize(("d", "side"), [(1, 32), (2, 16), (3, 8), (4, 4)])
def test_the_curve_visits_every_cell_and_never_jumps(d, side):
    cells = torch.cartesian_prod(*[torch.arange(side)] * d).reshape(-1, d)
    index = hilbert_index(cells)
    visited = cells[index.argsort()]
    assert index.unique().numel() == side**d
    assert bool((visited.diff(dim=0).abs().sum(dim=1) == 1).all())


def test_corners_of_the_largest_grid_are_told_apart():
    for d in (1, 2, 3, 7):
        cells = torch.cat([torch.zeros(1, d), torch.eye(d)]).long() * (2 ** bits_of(d) - 1)
        index = hilbert_index(cells)
        assert index.unique().numel() == d + 1
        assert bool((index >= 0).all())


def test_order_within_graphs():
    torch.manual_seed(0)
    ptr = torch.tensor([0, 50, 50, 51, 90])
    pos = torch.rand(90, 3, dtype=torch.float64)
    order = curve_order(pos, Layout(ptr))
    assert order.sort().values.equal(torch.arange(90))
    for start, stop in ((0, 50), (50, 51), (51, 90)):
        part = pos[start:stop]
        alone = curve_order(part, Layout(torch.tensor([0, stop - start])))
        assert order[start:stop].equal(alone + start)
        shuffled = torch.randperm(stop - start)
        again = curve_order(3 * part[shuffled] - 7, Layout(torch.tensor([0, stop - start])))
        torch.testing.assert_close(part[shuffled][again], part[alone])
    steps = pos[order[:50]].diff(dim=0).norm(dim=1).mean()
    assert float(steps) < 0.6 * float(pos[:50].diff(dim=0).norm(dim=1).mean())


def test_no_nodes_and_coincident_nodes():
    assert curve_order(torch.rand(0, 2), Layout(torch.tensor([0, 0]))).shape == (0,)
    assert curve_order(torch.rand(0, 2), Layout(torch.tensor([0]))).shape == (0,)
    assert curve_order(torch.ones(3, 2), Layout(torch.tensor([0, 3]))).tolist() == [0, 1, 2]
