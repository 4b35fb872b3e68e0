import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from flare_mesh.uncertainty import Unlikeness
from flare_mesh.uncertainty.calibration import THRESHOLD
from flare_mesh.uncertainty.case_descriptor import describe_case


def plate(rng, kind="one hole"):
    """Nodes of a plate with random extents, within the same ranges for all kinds."""
    size = rng.uniform(1, 2, 2)
    grid = (np.arange(30) + 0.5) / 30
    pos = np.stack(np.meshgrid(grid, grid), -1).reshape(-1, 2)
    pos = pos + rng.uniform(-0.01, 0.01, pos.shape)
    if kind == "L":
        pos = pos[(pos[:, 0] < 0.4) | (pos[:, 1] < 0.4)]
    else:
        centre = rng.uniform(0.35, 0.65, 2)
        away = np.linalg.norm((pos - centre) * size, axis=1)
        pos = pos[away > rng.uniform(0.12, 0.25) * size.min()]
    area = torch.full((len(pos),), float(size.prod()) / 900)
    return Data(pos=torch.from_numpy(pos * size).float(), weight=area)


def shapes(rng, count):
    return torch.stack([describe_case(plate(rng))["shape"] for _ in range(count)])


def test_a_foreign_shape_within_all_ranges_is_found():
    rng = np.random.default_rng(0)
    found = Unlikeness.fit(shapes(rng, 30), shapes(rng, 8))
    assert sum(found.score(one) > THRESHOLD for one in shapes(rng, 20)) <= 1
    foreign = [found.score(describe_case(plate(rng, "L"))["shape"]) for _ in range(5)]
    assert min(foreign) > 2 * THRESHOLD


def test_a_case_between_two_families_is_unlike_both():
    """It is at their common mean, but far from every case."""
    generator = torch.Generator().manual_seed(0)
    training = 0.1 * torch.randn(60, 1, generator=generator, dtype=torch.float64)
    training[::2] += 1
    training[1::2] -= 1
    found = Unlikeness.fit(training, training[:0])
    assert found.score(torch.zeros(1).double()) > THRESHOLD
    assert found.score(torch.tensor([1.05]).double()) < 0.1


def test_distance_and_score():
    generator = torch.Generator().manual_seed(0)
    # More components than cases: a new case has a part outside their directions.
    training = torch.randn(7, 9, generator=generator, dtype=torch.float64)
    others = 3 * torch.randn(5, 9, generator=generator, dtype=torch.float64)
    found = Unlikeness.fit(training, others)

    rows = (training - training.mean(0)) / training.std(0, correction=0)
    covariance = rows.T @ rows / 7
    mean = covariance.trace() / 9
    identity = torch.eye(9, dtype=torch.float64)
    noise = sum((torch.outer(x, x) - covariance).square().sum() for x in rows) / 49
    shrinkage = min(1.0, float(noise / (covariance - mean * identity).square().sum()))

    def distance(known, new):
        """Mahalanobis distance to the nearest, by the plain formula."""
        centre = known.mean(0)
        spread = (known - centre).T @ (known - centre) / len(known)
        inverse = torch.linalg.inv((1 - shrinkage) * spread + shrinkage * mean * identity)
        return min(float((new - one) @ inverse @ (new - one)) ** 0.5 for one in known)

    new = (others - training.mean(0)) / training.std(0, correction=0)
    expected = [distance(rows, one) for one in new]
    torch.testing.assert_close(found.distance(others), torch.tensor(expected).double())
    # Each training case against the others.
    alone = [distance(torch.cat([rows[:i], rows[i + 1 :]]), rows[i]) for i in range(7)]
    assert found.usual == pytest.approx(np.quantile(expected + alone, 0.9))
    only = Unlikeness.fit(training, others[:0])
    assert only.usual == pytest.approx(np.quantile(alone, 0.9))
    assert found.score(others[0]) == pytest.approx(expected[0] / found.usual)
    again = Unlikeness.from_dict(found.to_dict(), found.tensors())
    torch.testing.assert_close(again.distance(others), found.distance(others))


def test_equal_training_cases():
    same = torch.ones(5, 3, dtype=torch.float64)
    found = Unlikeness.fit(same, same[:1])
    assert found.score(same[0] + 1e-7) < 0.01
    assert found.score(same[0] + 0.1) > 3


def test_bad_input():
    with pytest.raises(ValueError, match="at least 3 training cases"):
        Unlikeness.fit(torch.ones(2, 3).double(), torch.ones(0, 3).double())
    found = Unlikeness.fit(torch.ones(4, 3).double(), torch.ones(0, 3).double())
    with pytest.raises(ValueError, match="of 3 numbers"):
        found.score(torch.ones(2).double())
    for damage in ({"scale": torch.zeros(3)}, {"known": torch.zeros(4, 2)}):
        with pytest.raises(ValueError, match="is damaged"):
            Unlikeness.from_dict(found.to_dict(), found.tensors() | damage)
    old = {name: values for name, values in found.tensors().items() if name != "known"}
    with pytest.raises(ValueError, match=r"of an older version, .*; train it again"):
        Unlikeness.from_dict(found.to_dict(), old)
