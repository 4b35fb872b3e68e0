"""Surrogates that carry a state from step to step."""

import pytest
import torch
from torch_geometric.data import Batch

from flare_mesh import FLAREOperator
from flare_mesh.surrogate import load_surrogate
from flare_mesh.surrogate.rollout import Rollout
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.testing import random_graph
from flare_mesh.training.unroll import RolloutConfig, unroll

IN, OUT = 4, 3
TIGHT = {"rtol": 1e-10, "atol": 1e-10}


def case(nodes, seed):
    """Four known steps of u and one more channel; three steps to predict."""
    data = random_graph(nodes, IN + 1, pos_dim=2, seed=seed, dtype=torch.float64, edges=True)
    generator = torch.Generator().manual_seed(seed)
    data.y = torch.randn(nodes, OUT, generator=generator, dtype=torch.float64)
    data.weight = torch.linspace(0.5, 2.0, nodes, dtype=torch.float64)
    return data


CASES = [case(6, 1), case(9, 2), case(1, 3)]


def surrogate(**options):
    torch.manual_seed(0)
    sizes = {"hidden_channels": 8, "num_layers": 2, "heads": 2, "num_latents": 3, "pos_dim": 2}
    model = FLAREOperator(2, 1, **sizes, **{"history": "fading", **options}).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    rollout = Rollout({"u_in": IN, "k": 1}, {"u_out": OUT}, IN, OUT, 1)
    found = Surrogate(model, {"u_out": OUT}, inputs=rollout.inputs, rollout=rollout).double()
    found.fit_normalizers(CASES)
    return found


def by_hand(found, data, steps, fed=None, stop=None):
    """The model's own steps written out, from the first known one on."""
    model, (u, k) = found.model, data.x.split([IN, 1], 1)
    state, latest, out = None, u[:, :1], []
    for number in range(IN - 1 + steps):
        if stop is not None and state is not None and number % stop == 0:
            state = state.detach()
        x = found.x_normalizer(torch.cat([latest, k], 1))
        y, state = model(
            x, found.pos_normalizer(data.pos), weight=data.weight, edge_index=data.edge_index,
            state=state, return_state=True,
        )  # fmt: skip
        y = found.y_normalizer.inverse(y)
        if number < IN - 1:
            latest = u[:, number + 1 : number + 2]
        else:
            out.append(y)
            latest = y if fed is None else fed(len(out) - 1, y)
    return torch.cat(out, 1)


@pytest.fixture(params=[{}, {"encoder": "graph", "history": "equal"}], ids=str)
def found(request):
    return surrogate(**request.param)


def test_known_steps_are_read_and_the_next_ones_predicted(found):
    """Also more steps than in training, and each mesh as without its batch-mates."""
    for steps in (OUT, 9):
        expected = [by_hand(found, data, steps) for data in CASES]
        together = found(Batch.from_data_list(CASES), num_steps=steps)
        torch.testing.assert_close(together, torch.cat(expected), **TIGHT)
    in_chunks = found.predict_prepared(CASES)
    for got, want in zip(in_chunks, expected, strict=True):
        torch.testing.assert_close(got["u_out"], want[:, :OUT].detach(), **TIGHT)


def test_a_prediction_continues_from_its_state():
    """Step by step with what is measured in the meantime, as in a digital twin."""
    found, data = surrogate(), CASES[0]
    u, state, steps = data.x[:, :IN], None, []
    for latest in u.split(1, 1):
        step, state = found.advance(data, torch.cat([latest, data.x[:, IN:]], 1), state)
    for _ in range(OUT):
        steps.append(step)
        step, state = found.advance(data, torch.cat([step, data.x[:, IN:]], 1), state)
    torch.testing.assert_close(torch.cat(steps, 1), found(data), **TIGHT)


def test_the_truth_is_fed_back_at_all_steps_at_once(found):
    batch = Batch.from_data_list(CASES)
    parameters = list(found.model.parameters())
    for truncate in (None, 2):
        got = unroll(found, batch, RolloutConfig(feedback="truth", truncate=truncate))
        want = torch.cat(
            [
                by_hand(found, data, OUT, lambda n, y, data=data: data.y[:, n : n + 1], truncate)
                for data in CASES
            ]
        )
        torch.testing.assert_close(got, want, **TIGHT)
        grads = (torch.autograd.grad(y.square().sum(), parameters) for y in (got, want))
        for ours, theirs in zip(*grads, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-8, atol=1e-8)
    alone = unroll(found, CASES[1], RolloutConfig(feedback="truth"))
    torch.testing.assert_close(alone, got[6:15], **TIGHT)


def test_gradients_through_state_and_fed_back_steps():
    found, data, rates = surrogate(), CASES[1], []
    parameters = list(found.model.parameters())
    for config, fed, stop in (
        (RolloutConfig(), None, None),
        (RolloutConfig(pushforward=True), lambda n, y: y.detach(), None),
        (RolloutConfig(pushforward=True, truncate=2), lambda n, y: y.detach(), 2),
    ):
        results = unroll(found, data, config), by_hand(found, data, OUT, fed, stop)
        ours, theirs = (torch.autograd.grad(y.square().sum(), parameters) for y in results)
        for got, want in zip(ours, theirs, strict=True):
            torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-8)
        rates.append(ours[1])
    assert not torch.allclose(rates[0], rates[1])
    assert not torch.allclose(rates[1], rates[2])


def test_the_input_is_normalised_alike_at_all_steps():
    found = surrogate()
    seen = torch.cat([torch.cat([data.x[:, :IN], data.y[:, :-1]], 1) for data in CASES]).flatten()
    mean, scale = seen.mean(), seen.std(correction=0)
    got = found.x_normalizer(torch.cat([seen[:, None], torch.zeros(len(seen), 1)], 1).double())
    torch.testing.assert_close(got[:, 0], (seen - mean) / scale, rtol=1e-5, atol=1e-5)
    assert len(found.training_range.x) == IN + 1
    assert found.training_range.differences(CASES[0]) == []


def test_noise_is_added_to_each_known_step():
    found, data, seen = surrogate(), CASES[1], []
    advance = found.advance
    found.advance = lambda data, x, *state, **more: (
        seen.append(x) or advance(data, x, *state, **more)
    )
    torch.manual_seed(0)
    unroll(found, data, RolloutConfig(noise=0.1))
    for number in range(IN):
        change = seen[number] - torch.cat([data.x[:, number : number + 1], data.x[:, IN:]], 1)
        assert torch.equal(change[:, 1:], torch.zeros_like(change[:, 1:]))
        assert 0.02 < float(change[:, 0].std()) < 0.5


def test_save_and_load(tmp_path):
    found = surrogate().float()
    data = CASES[0].clone().apply(lambda t: t.float(), "x", "pos", "y", "weight")
    found.save(tmp_path)
    again = load_surrogate(tmp_path)
    assert again.rollout == found.rollout
    assert torch.equal(again.predict(data)["u_out"], found.predict(data)["u_out"])
