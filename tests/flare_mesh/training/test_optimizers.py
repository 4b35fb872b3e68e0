import sys

import pytest
import torch
from torch import nn

from flare_mesh import FLAREOperator
from flare_mesh.training.optimizers import OptimizerConfig, build_optimizer

NAMES = ["adamw", "lion", "muon"]


def config(name, **options):
    if name == "lion":
        pytest.importorskip("lion_pytorch")
    return OptimizerConfig(name=name, **options)


def network(seed=0, dtype=torch.float32):
    torch.manual_seed(seed)
    layers = [nn.Linear(3, 8), nn.LayerNorm(8), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 1)]
    return nn.Sequential(*layers).to(dtype)


def backward(module, step):
    module.zero_grad()
    dtype = module[0].weight.dtype
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(step), dtype=dtype)
    loss = (module(x) - x.sum(1, keepdim=True).sin()).square().mean()
    loss.backward()
    return loss.item()


def train(module, optimizer, steps):
    losses = []
    for step in steps:
        losses.append(backward(module, step))
        optimizer.step()
    return losses


def test_adamw_is_the_published_rule():
    """Against the equations, in double precision."""
    options = {"lr": 1e-2, "weight_decay": 0.1, "betas": (0.8, 0.95), "eps": 1e-6}
    module = network(dtype=torch.float64)
    optimizer = build_optimizer(module, config("adamw", **options))
    want = {name: p.detach().clone() for name, p in module.named_parameters()}
    first = {name: torch.zeros_like(p) for name, p in want.items()}
    second = {name: torch.zeros_like(p) for name, p in want.items()}
    for step in range(1, 6):
        backward(module, step)
        grads = {name: p.grad.clone() for name, p in module.named_parameters()}
        optimizer.step()
        for name, grad in grads.items():
            decay = 0.1 if want[name].dim() > 1 else 0.0
            first[name] = 0.8 * first[name] + 0.2 * grad
            second[name] = 0.95 * second[name] + 0.05 * grad**2
            m, v = first[name] / (1 - 0.8**step), second[name] / (1 - 0.95**step)
            want[name] = want[name] * (1 - 1e-2 * decay) - 1e-2 * m / (v.sqrt() + 1e-6)
        for name, p in module.named_parameters():
            torch.testing.assert_close(p.detach(), want[name], rtol=1e-11, atol=1e-12)


def test_fused_is_as_exact_as_torch_without():
    single = {}
    for fused in (False, True):
        module = network()
        optimizer = build_optimizer(module, config("adamw", lr=1e-2))
        assert all(group["fused"] for group in optimizer.param_groups)
        for group in optimizer.param_groups:
            group["fused"] = fused
        train(module, optimizer, range(10))
        single[fused] = nn.utils.parameters_to_vector(module.parameters()).detach()
    torch.testing.assert_close(single[True], single[False], rtol=1e-4, atol=1e-6)


def test_gradients_are_unscaled_before_they_are_clipped():
    """What Lightning and torch's gradient scaler ask an optimiser."""
    assert not build_optimizer(network(), config("adamw"))._step_supports_amp_scaling  # pyright: ignore[reportAttributeAccessIssue]


def test_lion_is_the_published_rule():
    module = network(dtype=torch.float64)
    optimizer = build_optimizer(module, config("lion", lr=1e-3, weight_decay=0.1))
    want = {name: p.detach().clone() for name, p in module.named_parameters()}
    mean = {name: torch.zeros_like(p) for name, p in want.items()}
    for step in range(5):
        backward(module, step)
        for name, p in module.named_parameters():
            decay = 0.1 if p.dim() > 1 else 0.0
            sign = (0.9 * mean[name] + 0.1 * p.grad).sign()
            want[name] = want[name] * (1 - 1e-3 * decay) - 1e-3 * sign
            mean[name] = 0.99 * mean[name] + 0.01 * p.grad
        optimizer.step()
        for name, p in module.named_parameters():
            torch.testing.assert_close(p.detach(), want[name], rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("muon_lr", [None, 0.05])
def test_groups_of_muon(muon_lr):
    module = network()
    optimizer = build_optimizer(
        module, config("muon", lr=0.01, weight_decay=0.1, muon_lr=muon_lr, muon_momentum=0.9)
    )
    matrices, decayed, rest = optimizer.param_groups
    assert [tuple(p.shape) for p in matrices["params"]] == [(6, 8)]
    assert [tuple(p.shape) for p in decayed["params"]] == [(8, 3), (1, 6)]
    assert len(rest["params"]) == 5
    assert [g["lr"] for g in optimizer.param_groups] == [muon_lr or 0.01, 0.01, 0.01]
    assert [g["weight_decay"] for g in optimizer.param_groups] == [0.1, 0.1, 0.0]
    assert matrices["momentum"] == 0.9


@pytest.mark.parametrize("name", NAMES)
def test_it_trains(name):
    module = network()
    lr = 3e-3 if name == "lion" else 2e-2
    optimizer = build_optimizer(module, config(name, lr=lr))
    before = backward(module, 0)
    train(module, optimizer, range(20))
    assert backward(module, 0) < 0.7 * before


@pytest.mark.parametrize("name", NAMES)
def test_state_goes_to_a_file_and_back(name, tmp_path):
    settings = config(name, lr=1e-2, weight_decay=0.1)
    one = network()
    optimizer = build_optimizer(one, settings)
    train(one, optimizer, range(3))
    torch.save({"model": one.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "a.pt")
    saved = torch.load(tmp_path / "a.pt", weights_only=True)
    two = network(1)
    two.load_state_dict(saved["model"])
    other = build_optimizer(two, settings)
    other.load_state_dict(saved["optimizer"])
    assert train(one, optimizer, range(3, 6)) == train(two, other, range(3, 6))


def test_decay_of_latents():
    model = FLAREOperator(0, 1, hidden_channels=4, num_layers=1, heads=2, num_latents=2)
    for decay_latents in (False, True):
        optimizer = build_optimizer(model, config("adamw", decay_latents=decay_latents))
        decayed = {id(p) for p in optimizer.param_groups[0]["params"]}
        assert (id(model.blocks[0].attention.latent_query) in decayed) == decay_latents


def test_lion_without_its_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "lion_pytorch", None)
    with pytest.raises(ImportError, match=r'pip install "flare-mesh\[optim\]"'):
        build_optimizer(network(), OptimizerConfig(name="lion"))


def test_all_parameters_frozen():
    with pytest.raises(ValueError, match="Sequential: expected parameters to train"):
        build_optimizer(network().requires_grad_(False), config("adamw"))


def test_muon_needs_a_hidden_matrix():
    with pytest.raises(ValueError, match="take a deeper model"):
        build_optimizer(nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1)), config("muon"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "sgd"}, r"unknown optimizer 'sgd'; choose from \['adamw', 'lion', 'muon'\]"),
        ({"lr": 0.0}, r"expected 'lr' > 0 \(got 0.0\)"),
        ({"lr": float("nan")}, r"expected 'lr' > 0 \(got nan\)"),
        ({"eps": 0.0}, r"expected 'eps' > 0"),
        ({"weight_decay": -1.0}, r"expected 'weight_decay' >= 0 \(got -1.0\)"),
        ({"betas": (0.9, 1.0)}, r"expected two 'betas' from 0 to below 1 \(got \(0.9, 1.0\)\)"),
        ({"betas": (0.9,)}, r"expected two 'betas'"),
        ({"name": "muon", "muon_lr": -1.0}, r"expected 'muon_lr' > 0"),
        ({"name": "muon", "muon_momentum": 1.0}, r"expected 'muon_momentum' from 0 to below 1"),
        ({"muon_lr": 0.1}, r"'muon_lr' has no effect with the optimizer 'adamw'"),
        ({"name": "lion", "eps": 1e-6}, r"'eps' has no effect with the optimizer 'lion'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=f"OptimizerConfig: {message}"):
        OptimizerConfig(**options)
