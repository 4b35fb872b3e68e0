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


def test_distance_and_score():
    generator = torch.Generator().manual_seed(0)
    training = torch.randn(9, 4, generator=generator, dtype=torch.float64)
    others = 3 * torch.randn(5, 4, generator=generator, dtype=torch.float64)
    found = Unlikeness.fit(training, others)

    rows = (training - training.mean(0)) / training.std(0, correction=0)
    covariance = rows.T @ rows / 9
    mean = covariance.trace() / 4
    identity = torch.eye(4, dtype=torch.float64)
    noise = sum((torch.outer(x, x) - covariance).square().sum() for x in rows) / 81
    shrinkage = min(1.0, float(noise / (covariance - mean * identity).square().sum()))

    def distances(known, new, penalty):
        """Mahalanobis distance, by the plain formula."""
        centre = known.mean(0)
        spread = (known - centre).T @ (known - centre) / len(known)
        sigma = (1 - shrinkage) * spread + penalty * identity
        away = new - centre
        return (away @ torch.linalg.inv(sigma) * away).sum(1).sqrt()

    penalty = shrinkage * mean
    new = (others - training.mean(0)) / training.std(0, correction=0)
    expected = distances(rows, new, penalty)
    torch.testing.assert_close(found.distance(others), expected)
    # Each training case against the others; a case of the mean distance 0 is known too.
    alone = [
        distances(torch.cat([rows[:i], rows[i + 1 :]]), rows[i : i + 1], penalty) for i in range(9)
    ]
    known = torch.cat([expected, *alone])
    assert found.usual == pytest.approx(np.quantile(known.numpy(), 0.9))
    only = Unlikeness.fit(training, others[:0])
    assert only.usual == pytest.approx(np.quantile(torch.cat(alone).numpy(), 0.9))
    assert found.score(others[0]) == pytest.approx(float(expected[0]) / found.usual)


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
    tensors = found.tensors() | {"scale": torch.zeros(3)}
    with pytest.raises(ValueError, match="is damaged"):
        Unlikeness.from_dict(found.to_dict(), tensors)
