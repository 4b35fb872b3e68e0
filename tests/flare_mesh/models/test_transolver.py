import pytest
import torch
from torch.nn.functional import gelu, layer_norm

from flare_mesh.models import Transolver, load
from flare_mesh.testing import random_graph

SIZES = {"hidden_channels": 12, "num_layers": 2, "heads": 3, "num_slices": 5, "mlp_ratio": 1.5}


def scattered(model):
    """The model in float64 with parameters that all differ."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.double().parameters():
            parameter += 0.3 * torch.rand_like(parameter)
    return model


def reference(model, x, pos, weight):
    """The equations, head by head, node by node where that is plain."""
    p = dict(model.named_parameters())

    def affine(h, name):
        bias = p.get(f"{name}.bias")
        return h @ p[f"{name}.weight"].T + (0.0 if bias is None else bias)

    def norm(h, name):
        return layer_norm(h, h.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    weight = weight * len(weight) / weight.sum()
    h = affine(gelu(affine(torch.cat([pos, x], dim=1), "embed.0")), "embed.2") + p["placeholder"]
    for i in range(model.config["num_layers"]):
        a, n = f"blocks.{i}.attention", norm(h, f"blocks.{i}.norm1")
        projected, values = affine(n, f"{a}.project"), affine(n, f"{a}.project_value")
        width = projected.shape[1] // model.config["heads"]
        mixed = []
        for head in range(model.config["heads"]):
            part = slice(head * width, (head + 1) * width)
            scores = affine(projected[:, part], f"{a}.slices") / p[f"{a}.temperature"][head, 0, 0]
            shares = scores.exp() / scores.exp().sum(1, keepdim=True)
            slices = []
            for g in range(shares.shape[1]):
                of_slice = weight * shares[:, g]
                slices.append(of_slice @ values[:, part] / (of_slice.sum() + 1e-5))
            z = torch.stack(slices)
            q, k, v = (affine(z, f"{a}.{name}") for name in ("query", "key", "value"))
            exchange = (q @ k.T / width**0.5).exp()
            mixed.append(shares @ (exchange / exchange.sum(1, keepdim=True) @ v))
        h = h + affine(torch.cat(mixed, dim=1), f"{a}.out")
        n = norm(h, f"blocks.{i}.norm2")
        h = h + affine(gelu(affine(n, f"blocks.{i}.mlp.0")), f"blocks.{i}.mlp.2")
    return affine(norm(h, "norm"), "head")


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_equations(weighted):
    model = scattered(Transolver(2, 3, **SIZES))
    graph = random_graph(11, 2, seed=1, dtype=torch.float64)
    weight = torch.rand(11, dtype=torch.float64) + 0.5 if weighted else None
    given = torch.ones(11, dtype=torch.float64) if weight is None else weight
    inputs = [graph.x.requires_grad_(), graph.pos.requires_grad_(), *model.parameters()]
    ours = model(graph.x, graph.pos, weight=weight)
    theirs = reference(model, graph.x, graph.pos, given)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert float(ours.detach().std(dim=0).min()) > 1e-3
    factor = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad((ours * factor).sum(), inputs),
        torch.autograd.grad((theirs * factor).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


def test_initial_weights():
    model = Transolver(1, 2)
    attention = model.blocks[3].attention
    assert bool((attention.temperature == 0.5).all())
    for layer in (model.embed[0], attention.slices, attention.out, attention.query):
        assert 0.015 < float(layer.weight.detach().std()) < 0.025
    assert not bool(attention.out.bias.any())
    drawn = model.placeholder.detach()
    assert 0.0 <= float(drawn.min()) < float(drawn.max()) <= 1 / 128


def test_slices_of_large_graphs_do_not_overflow():
    model = Transolver(0, 1, **SIZES)
    with torch.no_grad():
        model.blocks[0].attention.project_value.bias += 3e4
    pos = torch.rand(500, 3)
    exact = model(None, pos)
    with torch.autocast("cpu", dtype=torch.float16):
        assert bool(model(None, pos).isfinite().all())
    assert bool(exact.isfinite().all())


def test_memory_can_be_traded_for_time(tmp_path):
    model = Transolver(0, 1, checkpointing=True, **SIZES)
    model.save(tmp_path)
    again = load(tmp_path)
    assert isinstance(again, Transolver)
    assert again.config["checkpointing"]


def test_impossible_ratio_is_refused():
    with pytest.raises(ValueError, match="'mlp_ratio' of at least 1 / 128"):
        Transolver(0, 1, mlp_ratio=0.001)
