import pytest
import torch
from torch.nn.functional import gelu, layer_norm

from flare_mesh.models import LaMO
from flare_mesh.testing import random_graph

SIZES = {"hidden_channels": 12, "num_layers": 2, "heads": 3, "num_slices": 5, "mlp_ratio": 1.5,
         "state_size": 2}  # fmt: skip


def scattered(model):
    """The model in float64 with parameters that all differ."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.double().parameters():
            parameter += 0.3 * torch.rand_like(parameter)
    return model


def reference(model, x, pos, weight):
    """The equations, head by head; the mixers have tests of their own."""
    p = dict(model.named_parameters())

    def affine(h, name):
        return h @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def norm(h, name):
        return layer_norm(h, h.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    weight = weight * len(weight) / weight.sum()
    h = affine(gelu(affine(torch.cat([pos, x], dim=1), "embed.0")), "embed.2") + p["placeholder"]
    for i, block in enumerate(model.blocks):
        s = f"blocks.{i}.attention.slicing" if model.shared is None else "shared"
        n = norm(h, f"blocks.{i}.norm1")
        projected, values = affine(n, f"{s}.project"), affine(n, f"{s}.project_value")
        width = projected.shape[1] // model.config["heads"]
        shares, slices = [], []
        for head in range(model.config["heads"]):
            part = slice(head * width, (head + 1) * width)
            temperature = p[f"{s}.temperature"][head, 0, 0].clamp(0.1, 5.0)
            scores = affine(projected[:, part], f"{s}.slices") / temperature
            shares.append(scores.exp() / scores.exp().sum(1, keepdim=True))
            sums = weight[:, None] * shares[-1]
            slices.append(sums.T @ values[:, part] / (sums.sum(0)[:, None] + 1e-5))
        mixed = block.attention.mixer(torch.cat(slices, dim=1)[None])[0]
        parts = [one @ m for one, m in zip(shares, mixed.split(width, dim=1), strict=True)]
        h = h + affine(torch.cat(parts, dim=1), f"blocks.{i}.attention.out")
        n = norm(h, f"blocks.{i}.norm2")
        h = h + affine(gelu(affine(n, f"blocks.{i}.mlp.0")), f"blocks.{i}.mlp.2")
    return affine(norm(h, "norm"), "head")


VARIANTS = {
    "shared": {},
    "unshared": {"shared_slices": False, "expand": 1},
    "bimamba2": {"sequence_mixer": "bimamba2"},
}


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_equations(options, weighted):
    model = scattered(LaMO(2, 3, **SIZES, **options))
    graph = random_graph(11, 2, seed=1, dtype=torch.float64)
    weight = torch.rand(11, dtype=torch.float64) + 0.5 if weighted else None
    given = torch.ones(11, dtype=torch.float64) if weight is None else weight
    inputs = [graph.x.requires_grad_(), graph.pos.requires_grad_(), *model.parameters()]
    ours = model(graph.x, graph.pos, weight=weight)
    theirs = reference(model, graph.x, graph.pos, given)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert float(ours.detach().std(dim=0).min()) > 1e-3
    factor = torch.randn_like(ours)
    grads = [torch.autograd.grad((out * factor).sum(), inputs) for out in (ours, theirs)]
    torch.testing.assert_close(*grads, rtol=1e-8, atol=1e-9)


def test_initial_weights():
    """Truncated normal everywhere but in the shared projections, as the authors' models."""
    shared, unshared = LaMO(0, 1, num_layers=1), LaMO(0, 1, num_layers=1, shared_slices=False)
    attention = shared.blocks[0].attention
    for layer in (
        attention.mixer.project,
        attention.mixer.project_skip,
        attention.out,
        unshared.blocks[0].attention.slicing.slices,
        unshared.blocks[0].attention.slicing.project,
    ):
        assert 0.015 < float(layer.weight.detach().std()) < 0.025
    slices = shared.shared.slices.weight
    torch.testing.assert_close(slices.T @ slices, torch.eye(16))
    assert float(shared.shared.project.weight.detach().std()) > 0.04  # 1 / sqrt(3 C)
    for model in (shared, unshared):
        slicing = model.shared or model.blocks[0].attention.slicing
        assert bool((slicing.temperature == 0.5).all())


def test_temperatures_stay_positive():
    model = LaMO(0, 1, **SIZES)
    with torch.no_grad():
        model.shared.temperature.zero_()
    assert bool(model(None, torch.rand(5, 3)).isfinite().all())


def test_unknown_mixer_is_refused():
    with pytest.raises(ValueError, match="LaMO: unknown sequence_mixer 'mamba'; choose from"):
        LaMO(0, 1, sequence_mixer="mamba")
