import pytest
import torch
from torch.nn.functional import gelu, layer_norm

from flare_mesh.models import Transolver, TransolverPlus
from flare_mesh.nn import eidetic_attention
from flare_mesh.testing import random_graph

SIZES = {"hidden_channels": 12, "num_layers": 2, "heads": 3, "num_slices": 5}


def scattered(model):
    """The model in float64 with parameters that all differ."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.double().parameters():
            parameter += 0.3 * torch.rand_like(parameter)
    return model


def reference(model, x, pos, noise):
    """The equations, head by head; noise [heads, N, slices]."""
    p = dict(model.named_parameters())

    def affine(h, name):
        bias = p.get(f"{name}.bias")
        return h @ p[f"{name}.weight"].T + (0.0 if bias is None else bias)

    def norm(h, name):
        return layer_norm(h, h.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    h = affine(gelu(affine(torch.cat([pos, x], dim=1), "embed.0")), "embed.2") + p["placeholder"]
    for i in range(model.config["num_layers"]):
        a = f"blocks.{i}.attention"
        projected = affine(norm(h, f"blocks.{i}.norm1"), f"{a}.project")
        width = projected.shape[1] // model.config["heads"]
        mixed = []
        for head in range(model.config["heads"]):
            nodes = projected[:, head * width : (head + 1) * width]
            local = gelu(affine(nodes, f"{a}.local_temperature.0"))
            local = gelu(affine(local, f"{a}.local_temperature.2"))
            temperature = (local + p[f"{a}.base_temperature"][head, 0, 0]).clamp(min=0.01)
            scores = ((affine(nodes, f"{a}.slices") + noise[head]) / temperature).exp()
            shares = scores / scores.sum(1, keepdim=True)
            z = shares.T @ nodes / (shares.sum(0)[:, None] + 1e-5)
            q, k, v = (affine(z, f"{a}.{name}") for name in ("query", "key", "value"))
            exchange = (q @ k.T / width**0.5).exp()
            mixed.append(shares @ (exchange / exchange.sum(1, keepdim=True) @ v))
        h = h + affine(torch.cat(mixed, dim=1), f"{a}.out")
        n = norm(h, f"blocks.{i}.norm2")
        h = h + affine(gelu(affine(n, f"blocks.{i}.mlp.0")), f"blocks.{i}.mlp.2")
    return affine(norm(h, "norm"), "head")


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_equations(training, monkeypatch):
    model = scattered(TransolverPlus(2, 3, **SIZES)).train(training)
    graph = random_graph(11, 2, seed=1, dtype=torch.float64)
    noise = torch.randn(3, 11, 5, dtype=torch.float64)
    monkeypatch.setattr(eidetic_attention, "gumbel_noise", lambda like: noise.expand_as(like))
    inputs = [graph.x.requires_grad_(), graph.pos.requires_grad_(), *model.parameters()]
    ours = model(graph.x, graph.pos)
    theirs = reference(model, graph.x, graph.pos, noise if training else torch.zeros(3, 11, 5))
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    factor = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad((ours * factor).sum(), inputs),
        torch.autograd.grad((theirs * factor).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize(
    ("gumbel", "in_training", "in_evaluation"),
    [("train", True, False), ("always", True, True), ("never", False, False)],
)
def test_when_there_is_noise(gumbel, in_training, in_evaluation):
    model = TransolverPlus(0, 1, gumbel=gumbel, **SIZES)
    pos = torch.rand(20, 3)
    for training, noisy in ((True, in_training), (False, in_evaluation)):
        model.train(training)
        assert torch.equal(model(None, pos), model(None, pos)) != noisy


def test_unknown_noise_is_refused():
    with pytest.raises(ValueError, match="unknown gumbel 'often'; choose from"):
        TransolverPlus(0, 1, gumbel="often")


def test_it_is_another_model_than_transolver():
    assert not issubclass(TransolverPlus, Transolver)
    assert repr(TransolverPlus(0, 1)).startswith("TransolverPlus(")
