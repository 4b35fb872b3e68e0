from itertools import pairwise

import pytest
import torch

from flare_mesh import FLAREOperator
from flare_mesh.surrogate.rollout import Rollout
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.testing import random_graph
from flare_mesh.training.unroll import RolloutConfig, unroll


@pytest.fixture
def case():
    data = random_graph(6, 4, seed=1)  # two steps of u, a static channel, one more
    data.y = torch.randn(6, 3)
    return data


@pytest.fixture
def surrogate(case):
    torch.manual_seed(0)
    model = FLAREOperator(4, 1, hidden_channels=4, num_layers=1, heads=1, num_latents=2)
    rollout = Rollout({"u_in": 2, "heat_in": 2}, {"u_out": 3}, 2, 3)
    made = Surrogate(model, {"u_out": 3}, inputs=rollout.inputs, rollout=rollout)
    made.fit_normalizers([case])
    return made


def by_hand(surrogate, case, fed):
    """Steps written out: the latest of the past is ``fed(step number, prediction)``."""
    x, steps = case.x, []
    for number in range(3):
        steps.append(surrogate.step(case, x))
        latest = fed(number, steps[-1])
        x = torch.cat([x[:, 1:2], latest, x[:, 2:]], 1)
    return torch.cat(steps, 1)


def test_predictions_are_fed_back(surrogate, case):
    expected = by_hand(surrogate, case, lambda number, step: step)
    torch.testing.assert_close(unroll(surrogate, case, RolloutConfig()), expected)
    torch.testing.assert_close(surrogate(case), expected)


def test_the_truth_is_fed_back(surrogate, case):
    got = unroll(surrogate, case, RolloutConfig(feedback="truth"))
    expected = by_hand(surrogate, case, lambda number, step: case.y[:, number : number + 1])
    torch.testing.assert_close(got, expected)
    assert not torch.allclose(got, surrogate(case))


def test_pushforward_stops_gradients_between_steps(surrogate, case):
    parameter = next(surrogate.model.parameters())

    def gradient(config):
        last = unroll(surrogate, case, config)[:, 2].sum()
        return torch.autograd.grad(last, parameter)[0]

    pushed = gradient(RolloutConfig(pushforward=True))
    expected = by_hand(surrogate, case, lambda number, step: step.detach())[:, 2].sum()
    torch.testing.assert_close(pushed, torch.autograd.grad(expected, parameter)[0])
    assert not torch.allclose(pushed, gradient(RolloutConfig()))


def test_noise_is_added_to_the_past_alone(surrogate, case):
    seen = []
    step = surrogate.step
    surrogate.step = lambda data, x, **options: seen.append(x) or step(data, x, **options)
    torch.manual_seed(0)
    unroll(surrogate, case, RolloutConfig(noise=0.1))
    change = seen[0] - case.x
    assert torch.equal(change[:, 2:], torch.zeros(6, 2))
    assert 0.03 < float((change[:, :2] / surrogate.x_normalizer.scale[:2]).std()) < 0.3


@pytest.mark.parametrize("feedback", ["truth", "prediction"])
def test_a_step_has_one_draw_of_noise(case, feedback):
    # The model with history sees two of the three known steps at a time, which overlap.
    case.x, case.y = torch.randn(6, 4), torch.randn(6, 2)
    model = FLAREOperator(
        3, 1, hidden_channels=4, num_layers=1, heads=1, num_latents=2, history="equal"
    )
    rollout = Rollout({"u_in": 3, "k": 1}, {"u_out": 2}, 3, 2, 2)
    surrogate = Surrogate(model, {"u_out": 2}, inputs=rollout.inputs, rollout=rollout)
    surrogate.fit_normalizers([case])
    seen, advance = [], surrogate.advance
    surrogate.advance = lambda data, x, *args, **options: (
        seen.extend(x.split(6)) or advance(data, x, *args, **options)
    )
    unroll(surrogate, case, RolloutConfig(feedback=feedback, noise=0.1))
    steps = torch.cat([case.x[:, :3], case.y], 1)
    windows = 3 if feedback == "truth" else 2  # the later ones are predictions
    clean = [torch.cat([steps[:, i : i + 2], case.x[:, 3:]], 1) for i in range(windows)]
    normalize = surrogate.x_normalizer
    noise = [normalize(got) - normalize(x) for got, x in zip(seen, clean, strict=False)]
    for before, after in pairwise(noise):
        torch.testing.assert_close(before[:, 1], after[:, 0], rtol=1e-4, atol=1e-5)
        assert 0.01 < float((before[:, 0] - after[:, 0]).abs().max()) < 1
        assert not after[:, 2].any()


def test_bad_options():
    with pytest.raises(ValueError, match="noise: expected at least 0"):
        RolloutConfig(noise=-1.0)
    with pytest.raises(ValueError, match="pushforward"):
        RolloutConfig(feedback="truth", pushforward=True)
