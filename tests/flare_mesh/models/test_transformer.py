import pytest
import torch
from torch.nn.functional import gelu, layer_norm, rms_norm

from flare_mesh.models import Transformer
from flare_mesh.testing import random_graph

SIZES = {"hidden_channels": 12, "num_layers": 2, "heads": 3, "mlp_ratio": 1.5}


def scattered(model):
    """The model in float64 with parameters that all differ."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.double().parameters():
            parameter += 0.3 * torch.rand_like(parameter)
    return model


def reference(model, x, pos, weight):
    """The equations, head by head."""
    p = dict(model.named_parameters())

    def affine(h, name):
        return h @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def norm(h, name):
        if model.config["norm"] == "rms":
            return rms_norm(h, h.shape[-1:], p[f"{name}.weight"])
        return layer_norm(h, h.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    def act(h):
        return gelu(h, approximate="tanh")

    h = act(affine(torch.cat([pos, x], dim=1), "embed.layers.0"))
    for j in (1, 2):
        h = h + act(affine(h, f"embed.layers.{j}"))
    h = h + affine(h, "embed.layers.3")
    for i in range(model.config["num_layers"]):
        a = f"blocks.{i}.attention"
        q, k, v = affine(norm(h, f"blocks.{i}.norm1"), f"{a}.project").chunk(3, dim=1)
        width = q.shape[1] // model.config["heads"]
        mixed = []
        for head in range(model.config["heads"]):
            part = slice(head * width, (head + 1) * width)
            shares = weight * (q[:, part] @ k[:, part].T / width**0.5).exp()
            mixed.append(shares @ v[:, part] / shares.sum(1, keepdim=True))
        h = h + affine(torch.cat(mixed, dim=1), f"{a}.out")
        n = norm(h, f"blocks.{i}.norm2")
        h = h + affine(gelu(affine(n, f"blocks.{i}.mlp.0")), f"blocks.{i}.mlp.2")
    h = norm(h, "norm")
    h = h + act(affine(h, "head.layers.0"))
    for j in (1, 2):
        h = h + act(affine(h, f"head.layers.{j}"))
    return affine(h, "head.layers.3")


@pytest.mark.parametrize("norm", ["layer", "rms"])
@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
def test_equations(norm, weighted):
    model = scattered(Transformer(2, 3, norm=norm, **SIZES))
    graph = random_graph(11, 2, seed=1, dtype=torch.float64)
    weight = torch.rand(11, dtype=torch.float64) + 0.5 if weighted else None
    given = torch.ones(11, dtype=torch.float64) if weight is None else weight
    inputs = [graph.x.requires_grad_(), graph.pos.requires_grad_(), *model.parameters()]
    ours = model(graph.x, graph.pos, weight=weight)
    theirs = reference(model, graph.x, graph.pos, given)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    factor = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad((ours * factor).sum(), inputs),
        torch.autograd.grad((theirs * factor).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-8)


def test_initial_weights():
    model = Transformer(1, 2)
    for layer in (model.blocks[3].attention.project, model.blocks[0].mlp[0], model.head.layers[0]):
        assert 0.015 < float(layer.weight.detach().std()) < 0.025
        assert not bool(layer.bias.any())


def test_unknown_norm_is_refused():
    with pytest.raises(ValueError, match="unknown norm 'batch'"):
        Transformer(0, 1, norm="batch")
