from itertools import combinations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch_geometric.data import Data

from flare_mesh.data.transforms import BuildFeatures, RandomNodes


def test_random_nodes_keep_their_fields_together(tee, data_of):
    case = BuildFeatures()(data_of(tee, tee.points))
    torch.manual_seed(0)
    part, other = (RandomNodes(10)(case) for _ in range(2))
    assert part.num_nodes == 10
    assert torch.equal(part.pos, part.y)
    assert "hexahedron" not in part
    assert "edge_index" not in part
    assert not torch.equal(part.pos, other.pos)
    assert RandomNodes(1000)(case).num_nodes == case.num_nodes
    with pytest.raises(ValueError, match="num_nodes >= 1"):
        RandomNodes(0)


def weighted(weight, **fields):
    count = len(weight)
    return Data(pos=torch.arange(3.0 * count).view(count, 3), weight=weight, **fields)


OPTIONS = [{"by": by, "replace": replace} for by in ("uniform", "weight") for replace in (0, 1)]


@settings(deadline=None, max_examples=60)
@given(
    weights=st.lists(st.sampled_from([0.0, 0.1, 1.0, 3.0, 40.0]), min_size=1, max_size=12),
    keep=st.integers(1, 14),
    options=st.sampled_from(OPTIONS),
    seed=st.integers(0, 99),
)
def test_the_integral_of_one_is_kept(weights, keep, options, seed):
    weight = torch.tensor(weights, dtype=torch.float64)
    assume(all(weights) if options["by"] == "uniform" else any(weights))
    torch.manual_seed(seed)
    out = RandomNodes(keep, **options)(weighted(weight))
    assert float(out.weight.sum()) == pytest.approx(float(weight.sum()), rel=1e-12)
    if options["replace"]:
        assert out.num_nodes == keep
    else:
        assert len(out.pos.unique(dim=0)) == out.num_nodes
        available = len(weight) if options["by"] == "uniform" else int((weight > 0).sum())
        assert out.num_nodes == min(keep, available)
    if options["by"] == "weight":
        assert bool((out.weight > 0).all())


@pytest.mark.parametrize("options", OPTIONS)
def test_integrals_are_unbiased(options):
    generator = torch.Generator().manual_seed(0)
    weight = torch.rand(40, generator=generator, dtype=torch.float64) + 0.5
    if options["by"] == "weight":
        weight[3] = 20.0  # sure to be drawn
    u = torch.randn(40, generator=generator, dtype=torch.float64) + 2
    draw, data = RandomNodes(12, **options), weighted(weight, u=u)
    torch.manual_seed(1)
    sums = torch.stack([(out.weight @ out.u) for out in (draw(data) for _ in range(600))])
    exact, error = float(weight @ u), float(sums.std()) / 600**0.5
    # The bias of the ratio estimator, to the leading order.
    bias = 0.0
    if options["by"] == "uniform":
        mean = weight.mean()
        share = (1 / 12) * (1.0 if options["replace"] else 28 / 39)
        bias = -float(40 * share * (weight**2 * (u - exact / weight.sum())).mean() / mean)
    assert float(sums.mean()) == pytest.approx(exact + bias, abs=4 * error)


def test_nodes_drawn_without_weight():
    data = weighted(torch.tensor([1.0] + [0.0] * 50))
    torch.manual_seed(0)
    with pytest.raises(ValueError, match="all sampled nodes have the weight 0"):
        RandomNodes(1)(data)
    assert RandomNodes(9, by="weight")(data).weight.tolist() == [1.0]


def test_uniform_weights_are_scaled_to_the_sum():
    data = weighted(torch.tensor([1.0, 2.0, 3.0, 4.0]))
    torch.manual_seed(0)
    out = RandomNodes(2)(data)
    old = data.weight[(out.pos[:, 0] / 3).long()]
    torch.testing.assert_close(out.weight, old * 10 / old.sum())


def test_draws_by_weight():
    weight = torch.tensor([0.0, 1.0, 1.0, 2.0, 6.0])
    data = weighted(weight)
    torch.manual_seed(0)
    out = RandomNodes(20_000, by="weight", replace=True)(data)
    shares = (out.pos[:, 0] / 3).long().bincount(minlength=5) / 20_000
    torch.testing.assert_close(shares, weight / 10, atol=0.015, rtol=0)
    torch.testing.assert_close(out.weight, torch.full((20_000,), 10 / 20_000))
    # Two of 10 shares: the last node's 6 is more than 10 / 2, so it stays, as itself.
    counts = torch.zeros(5)
    for _ in range(600):
        out = RandomNodes(2, by="weight")(data)
        nodes = (out.pos[:, 0] / 3).long()
        counts[nodes] += 1
        assert dict(zip(nodes.tolist(), out.weight.tolist(), strict=True))[4] == 6.0
        assert sorted(out.weight.tolist()) == [4.0, 6.0]
    torch.testing.assert_close(
        counts / 600, torch.tensor([0.0, 0.25, 0.25, 0.5, 1.0]), atol=0.08, rtol=0
    )


def test_without_weights_all_nodes_are_equally_frequent():
    data = Data(pos=torch.arange(30.0).view(10, 3))
    torch.manual_seed(0)
    nodes = torch.cat([RandomNodes(4)(data).pos[:, 0] / 3 for _ in range(600)]).long()
    shares = nodes.bincount() / 600
    torch.testing.assert_close(shares, torch.full((10,), 0.4), atol=0.08, rtol=0)
    with pytest.raises(ValueError, match="by='weight' needs quadrature weights 'weight'"):
        RandomNodes(4, by="weight")(data)
    with pytest.raises(ValueError, match="by='uniform' or by='weight'"):
        RandomNodes(4, by="area")


def test_what_belongs_to_the_graph_stays(tee, data_of):
    data = data_of(tee)
    data.inflow, data.case_id, data.reynolds = torch.ones(1, 2), "a", torch.tensor(3.0)
    data.cell_stress = torch.zeros(len(tee.cells), 6)
    data.edge_attr = torch.zeros(data.edge_index.shape[1], 3)
    data.num_nodes = len(data.pos)
    out = RandomNodes(7)(data)
    assert set(out.keys()) == {"pos", "inflow", "case_id", "reynolds", "num_nodes"}
    assert out.num_nodes == 7
    assert torch.equal(out.inflow, data.inflow)


def test_all_pairs_can_be_drawn_by_weight():
    data = weighted(torch.ones(6))
    torch.manual_seed(0)
    draws = [RandomNodes(3, by="weight")(data).pos[:, 0] / 3 for _ in range(300)]
    pairs = {pair for draw in draws for pair in combinations(sorted(draw.int().tolist()), 2)}
    assert len(pairs) == 15
