import random

import numpy as np
import pytest
import torch

from flare_mesh.training.seeding import mix_seed, seed_step, seeded


def test_seed_step_equals_manual_seed():
    seed = mix_seed(3, 1, 4)
    with seeded(0):
        torch.manual_seed(seed)
        expected = torch.rand(4)
        torch.rand(1)
        seed_step(seed, torch.device("cpu"))
        assert torch.equal(torch.rand(4), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_seed_step_equals_manual_seed_on_the_gpu():
    torch.manual_seed(7)
    expected = torch.rand(4), torch.rand(4, device="cuda")
    seed_step(7, torch.device("cuda", 0))
    assert torch.equal(torch.rand(4), expected[0])
    assert torch.equal(torch.rand(4, device="cuda"), expected[1])


def draw():
    return random.random(), float(np.random.random()), float(torch.rand(1))  # noqa: NPY002


@pytest.mark.parametrize("seed", [0, 2**32 + 1, 2**63 - 1])
def test_the_random_states_are_restored(seed):
    with seeded(1):
        expected = [draw(), draw()]
    with seeded(1):
        first = draw()
        with seeded(seed):
            inner = draw()
        with pytest.raises(ZeroDivisionError), seeded(seed):
            assert draw()[0] / 0
        assert [first, draw()] == expected
        assert inner not in expected


def test_seeds_of_different_parts_differ():
    parts = [(), (0,), (0, 0), (1, 0), (0, 1), (10,), (1, 0, 0), (-1,), (2**70,)]
    seeds = {mix_seed(*part) for part in parts}
    assert len(seeds) == len(parts)
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert mix_seed(3, 1, 4) == mix_seed(3, 1, 4)
