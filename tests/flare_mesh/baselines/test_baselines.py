"""Expected predictions in closed form."""

import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from flare_mesh.baselines import (
    BASELINES,
    NearestCase,
    NearestNodes,
    NodeMLP,
    Ridge,
    TrainingMean,
    UnsuitableError,
    compare_baselines,
)

GRID = torch.cartesian_prod(torch.linspace(0, 1, 4), torch.linspace(0, 1, 4))


def fixed(load, noise=0.0):
    """A case on one mesh: y is linear in the fields x."""
    x = load * torch.sin(3 * GRID[:, :1]) + noise * torch.cos(5 * GRID[:, 1:])
    return Data(pos=GRID, x=x, y=torch.cat([2 * x + 1, x.flip(0)], dim=1))


def free(nodes, load, width=1.0, seed=0):
    """A case on points of its own: y is the load times the relative position."""
    relative = torch.from_numpy(np.random.default_rng(seed).random((nodes, 2))).float()
    relative = torch.cat([relative, torch.tensor([[0.0, 0.0], [1.0, 1.0]])])
    pos = relative * torch.tensor([width, 1.0])
    return Data(pos=pos, x=torch.full((len(pos), 1), load), y=load * relative[:, :1] + 1)


def test_mean_on_one_mesh():
    baseline = TrainingMean()
    baseline.fit([fixed(1.0), fixed(2.0), fixed(6.0)])
    torch.testing.assert_close(baseline.predict(fixed(9.0)), fixed(3.0).y.double())


def test_mean_of_the_nearest_cases():
    cases = [free(20, load) for load in (1.0, 1.2, 5.0)]
    cases.append(free(21, 9.0))  # so that the meshes differ
    baseline = TrainingMean(neighbours=2)
    baseline.fit(cases)
    expected = (cases[0].y + cases[1].y) / 2
    torch.testing.assert_close(baseline.predict(free(20, 1.1)), expected.double())


def test_nearest_case():
    train = [free(400, 1.0), free(500, 2.0, seed=1), free(600, 3.0, seed=2)]
    baseline = NearestCase()
    baseline.fit(train)
    for number, load in enumerate((1.2, 2.1, 2.8)):
        # At its own nodes, the values of the case itself.
        near = train[number].clone()
        near.x = torch.full_like(near.x, load)
        torch.testing.assert_close(baseline.predict(near), train[number].y.double())


def test_nearest_case_is_independent_of_the_place_and_size_of_the_mesh():
    train = [free(300, 1.0), free(301, 2.0)]
    baseline = NearestCase()
    baseline.fit(train)
    moved = train[0].clone()
    moved.pos = moved.pos + 100
    torch.testing.assert_close(baseline.predict(moved), train[0].y.double())


def test_nearest_nodes_of_a_training_case():
    train = [free(200, load, seed=seed) for seed, load in enumerate((1.0, 2.0, 3.0))]
    baseline = NearestNodes()
    baseline.fit(train)
    torch.testing.assert_close(baseline.predict(train[1]), train[1].y.double())
    between = baseline.predict(free(200, 2.0, seed=9))
    truth = free(200, 2.0, seed=9).y.double()
    assert float((between - truth).norm() / truth.norm()) < 0.05


def test_ridge_is_exact_for_a_linear_map():
    generator = np.random.default_rng(0)
    train = [fixed(*generator.normal(size=2)) for _ in range(8)]
    baseline = Ridge()
    baseline.fit(train)
    truth = fixed(0.3, -0.7)
    torch.testing.assert_close(baseline.predict(truth), truth.y.double(), rtol=1e-4, atol=1e-4)


def test_penalty_of_the_smallest_leave_one_out_error():
    """With noise, the chosen penalty is that of leaving out each case in turn."""
    generator = np.random.default_rng(1)
    train = [fixed(*generator.normal(size=2)) for _ in range(10)]
    for case in train:
        case.x = case.x + torch.from_numpy(generator.normal(size=case.x.shape)).float()
    baseline = Ridge()
    baseline.fit(train)
    inputs = baseline._inputs
    y = np.stack([case.y.double().numpy().ravel() for case in train])
    products = inputs @ inputs.T
    mean = np.trace(products) / (len(train) - 1)

    def error(penalty):
        total = 0.0
        for out in range(len(train)):
            rest = [i for i in range(len(train)) if i != out]
            a, b = inputs[rest], y[rest]
            center_a, center_b = a.mean(0), b.mean(0)
            gram = (a - center_a) @ (a - center_a).T + penalty * np.eye(len(rest))
            weights = np.linalg.solve(gram, b - center_b)
            found = (inputs[out] - center_a) @ (a - center_a).T @ weights + center_b
            total += np.square(found - y[out]).sum()
        return total

    penalties = np.logspace(-8, 2, 41) * mean
    best = penalties[np.argmin([error(penalty) for penalty in penalties])]
    centered = y - y.mean(0)
    weights = np.linalg.solve(products + best * np.eye(len(train)), centered)
    np.testing.assert_allclose(baseline._weights, weights, rtol=1e-6, atol=1e-9)


def test_network_of_each_node_learns():
    train = [free(200, load, seed=seed) for seed, load in enumerate((1.0, 2.0, 3.0, 4.0))]
    baseline = NodeMLP(hidden_channels=32, steps=300, batch_nodes=256)
    baseline.fit(train)
    truth = free(100, 2.5, seed=9)
    error = baseline.predict(truth) - truth.y
    assert float(error.norm() / truth.y.norm()) < 0.05
    before = torch.random.get_rng_state()
    again = NodeMLP(hidden_channels=32, steps=300, batch_nodes=256)
    again.fit(train)
    assert torch.equal(again.predict(truth), baseline.predict(truth))
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(
    ("cases", "reason"),
    [
        ([free(20, 1.0), free(21, 2.0), free(22, 3.0)], "different numbers of nodes"),
        ([fixed(1.0), fixed(2.0)], "at least 3 training cases"),
        ([fixed(1.0)] * 3, "the same inputs"),
    ],
)
def test_unsuitable_for_ridge(cases, reason):
    with pytest.raises(UnsuitableError, match=reason):
        Ridge().fit(cases)


def test_compare():
    train, test = [fixed(float(load)) for load in range(1, 6)], [fixed(2.5), fixed(3.5)]
    found = compare_baselines(train, test, {"u": 1, "v": 1})
    assert [*found] == ["training_mean", "nearest_case", "nearest_nodes", "ridge"]
    assert found["ridge"].errors["u"] < 1e-4
    mean = fixed(3.0).y
    expected = [(mean - case.y).norm(dim=0) / case.y.norm(dim=0) for case in test]
    assert list(found["training_mean"].errors.values()) == pytest.approx(
        torch.stack(expected).mean(0).tolist(), rel=1e-5
    )
    assert all(result.train_cases == 5 for result in found.values())


def test_compare_says_what_is_unsuitable_and_leaves_zero_fields_out():
    train = [free(20 + i, float(i + 1)) for i in range(4)]
    test = [free(30, 2.0), free(31, 3.0)]
    test[0].y = torch.zeros_like(test[0].y)
    found = compare_baselines(train, test, {"u": 1}, [*BASELINES][:4])
    assert "different numbers of nodes" in found["ridge"].unsuitable
    assert not found["ridge"].errors
    assert 0 < found["nearest_case"].errors["u"] < 0.5
    with pytest.raises(ValueError, match="unknown baseline 'rigde'; did you mean 'ridge'"):
        compare_baselines(train, test, {"u": 1}, ["rigde"])
    with pytest.raises(ValueError, match="expected training and test cases"):
        compare_baselines(train, [], {"u": 1})


def test_cases_without_inputs_and_flat_directions():
    train = [free(20 + i, float(i + 1), width=1.0 + i) for i in range(4)]
    for case in train:
        case.pos = torch.cat([case.pos, torch.zeros(len(case.pos), 1)], dim=1)
        del case.x
    for name in ("training_mean", "nearest_case", "nearest_nodes"):
        baseline = BASELINES[name]()
        baseline.fit(train)
        assert bool(baseline.predict(train[2]).isfinite().all())
