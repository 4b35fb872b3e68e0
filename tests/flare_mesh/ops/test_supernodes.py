import pytest
import torch

from flare_mesh.ops import supernodes as module
from flare_mesh.ops.layout import Layout, equal_layout
from flare_mesh.ops.packing import MASKED
from flare_mesh.ops.space_curve import curve_order
from flare_mesh.ops.supernodes import find_supernodes

SIZES = (9, 0, 1, 12, 11)
PTR = torch.tensor([0, *SIZES]).cumsum(0)


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def plain(pos, weight, most, k, radius):
    """Node, measure and {neighbour: share} of each supernode of one graph without copies."""
    order = curve_order(pos, equal_layout(1, len(pos), pos.device)).tolist()
    count = min(most, len(pos))
    found = []
    for i in range(count):
        node = order[int((i + 0.5) * len(pos) / count)]
        run = [n for r, n in enumerate(order) if int((r + 0.5) * count / len(pos)) == i]
        distance = [float((pos[n] - pos[node]).norm()) for n in range(len(pos))]
        near = sorted(range(len(pos)), key=distance.__getitem__)[:k]
        near = [n for n in near if distance[n] <= radius]
        total = sum(float(weight[n]) for n in near)
        shares = {n: float(weight[n]) / total for n in near}
        found.append((node, sum(float(weight[n]) for n in run), shares))
    return found


@pytest.mark.parametrize(("k", "radius"), [(4, None), (30, 1.2), (1, None), (5, 1e-9)])
def test_against_a_search_by_loops(k, radius):
    pos, weight = draw(sum(SIZES), 3), draw(sum(SIZES), seed=1).exp()
    found = find_supernodes(
        pos, pos, Layout(PTR), weight.log(), num_supernodes=5, max_neighbors=k, radius=radius
    )
    for graph, (start, size) in enumerate(zip(PTR.tolist(), SIZES, strict=False)):
        part = slice(start, start + size)
        expected = plain(pos[part], weight[part], 5, k, radius or torch.inf) if size else []
        assert bool((found.log_measure[graph, len(expected) :] == MASKED).all())
        assert bool((found.log_measure[graph, : len(expected)] > MASKED).all())
        measures = found.log_measure[graph, : len(expected)].softmax(0)
        total = sum(measure for _, measure, _ in expected)
        for i, (node, measure, shares) in enumerate(expected):
            assert int(found.node[graph, i]) - start == node
            assert float(measures[i]) == pytest.approx(measure / total)
            got = dict.fromkeys(shares, 0.0)
            for n, share in zip(found.neighbor[graph, i], found.share[graph, i], strict=True):
                if float(share):
                    got[int(n) - start] += float(share)
                else:  # padding must not refer to nodes of other graphs, which may be NaN
                    assert int(n) == int(found.node[graph, i])
            assert got == pytest.approx(shares)


def test_copies_are_one_node_of_their_weight():
    pos, weight = draw(10, 2), draw(10, seed=1).exp()
    copied = torch.tensor([3, 3, 7])
    options = {"num_supernodes": 4, "max_neighbors": 3}
    one = equal_layout(1, 10, pos.device)
    extra = weight.clone()
    extra[3], extra[7] = 3 * weight[3], 2 * weight[7]
    want = find_supernodes(pos, pos, one, extra.log(), **options)
    more, more_weight = torch.cat([pos, pos[copied]]), torch.cat([weight, weight[copied]])
    layout = equal_layout(1, 13, pos.device)
    got = find_supernodes(more, more, layout, more_weight.log(), **options)
    torch.testing.assert_close(more[got.node], pos[want.node])
    torch.testing.assert_close(more[got.neighbor], pos[want.neighbor])
    torch.testing.assert_close(got.share, want.share)
    torch.testing.assert_close(got.log_measure.softmax(1), want.log_measure.softmax(1))
    # With other features they are two nodes: all thirteen are supernodes.
    features = torch.cat([more, torch.arange(13.0, dtype=torch.float64)[:, None]], dim=1)
    both = find_supernodes(more, features, layout, num_supernodes=13, max_neighbors=1)
    assert sorted(both.node[0].tolist()) == list(range(13))


def test_ties_do_not_depend_on_the_order_of_the_nodes(monkeypatch):
    line = torch.linspace(0, 1, 6, dtype=torch.float64)
    pos = torch.cartesian_prod(line, line)  # each point has four neighbours at equal distance
    layout = equal_layout(1, 36, pos.device)
    options = {"num_supernodes": 7, "max_neighbors": 3}
    want = find_supernodes(pos, pos, layout, **options)
    order = torch.randperm(36, generator=torch.Generator().manual_seed(0))
    got = find_supernodes(pos[order], pos[order], layout, **options)
    assert torch.equal(order[got.node], want.node)
    assert torch.equal(order[got.neighbor], want.neighbor)
    monkeypatch.setattr(module, "_CHUNK", 1)  # one supernode at a time
    for one, other in zip(find_supernodes(pos, pos, layout, **options), want, strict=True):
        assert torch.equal(one, other)


def test_extreme_weights():
    pos = draw(6, 2)
    log_weight = torch.tensor([-900.0, 0, 0, 0, 0, 900.0], dtype=torch.float64)
    found = find_supernodes(
        pos, pos, equal_layout(1, 6, pos.device), log_weight, num_supernodes=6, max_neighbors=2
    )
    assert bool(found.log_measure.isfinite().all())
    assert bool(found.share.isfinite().all())
