import numpy as np

from flare_mesh.ops.numba_plan import Plan
from flare_mesh.ops.numba_tiles import BLOCK

SIZES = (2 * BLOCK + 1, 0, 5, 3 * BLOCK)


def test_pieces():
    plan = Plan(np.cumsum([0, *SIZES]))
    assert plan.graph.tolist() == [0, 0, 0, 2, 3, 3, 3]
    assert (plan.end - plan.start).tolist() == [BLOCK, BLOCK, 1, 5, BLOCK, BLOCK, BLOCK]
    assert plan.start[1:].tolist() == plan.end[:-1].tolist()


def test_merges_equal_a_plain_sum():
    plan, draw = Plan(np.cumsum([0, *SIZES])), np.random.default_rng(0)
    sums, shift = draw.uniform(1, 2, (7, 2, 4, 8)), draw.uniform(-9, 9, (7, 2, 8))
    exact = sums * np.exp2(shift)[:, :, None]
    pieces = [np.flatnonzero(plan.graph == graph) for graph in range(len(SIZES))]
    totals = np.array([exact[of].sum(0) for of in pieces])
    np.testing.assert_allclose(plan.add_pieces(exact), totals, 1e-12)
    latent, logsumexp = plan.merge_encodings(sums, shift)
    full = [0, 2, 3]
    np.testing.assert_allclose(latent[full], totals[full, :, :-1] / totals[full, :, -1:], 1e-12)
    np.testing.assert_allclose(logsumexp[full], np.log2(totals[full, :, -1]), 1e-12)
    assert (latent[1] == 0).all()
    assert (logsumexp[1] == -np.inf).all()


def test_a_graph_has_the_same_bits_in_any_batch():
    draw = np.random.default_rng(0)
    parts = draw.normal(size=(7, 2, 4, 8)).astype(np.float32)
    batch = Plan(np.cumsum([0, *SIZES])).add_pieces(parts)
    alone = Plan(np.array([0, SIZES[3]])).add_pieces(parts[4:])
    assert np.array_equal(batch[3:], alone)


def test_no_nodes():
    plan = Plan(np.zeros(3, np.int64))
    assert plan.add_pieces(np.zeros((0, 2))).tolist() == [[0, 0], [0, 0]]
