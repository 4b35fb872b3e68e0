import copy
import pickle

import pytest
import torch
from torch import nn

from flare_mesh.training.batched_muon import BatchedMuon
from flare_mesh.training.muon_with_adamw import MuonWithAdamW

OPTIONS = {"betas": (0.8, 0.95), "eps": 1e-6}


def network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 6), nn.Tanh(), nn.Linear(6, 1))


def split(module):
    matrix = module[2].weight
    return matrix, [p for p in module.parameters() if p is not matrix]


def optimizer_of(module):
    matrix, rest = split(module)
    groups = [
        {"params": rest[:1], "weight_decay": 0.1},
        {"params": rest[1:], "weight_decay": 0.0},
    ]
    return MuonWithAdamW([matrix], groups, lr=0.01, muon_lr=0.02, weight_decay=0.1, **OPTIONS)


def backward(module, step):
    module.zero_grad()
    x = torch.randn(16, 3, generator=torch.Generator().manual_seed(step))
    loss = (module(x) - x.sum(1, keepdim=True).sin()).square().mean()
    loss.backward()
    return loss


def train(module, optimizer, steps):
    for step in steps:
        backward(module, step)
        optimizer.step()


def assert_equal(a, b):
    for left, right in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.equal(left, right)


def test_equal_to_muon_and_adamw_by_themselves():
    one, two = network(), network()
    optimizer = optimizer_of(one)
    matrix, rest = split(two)
    muon = BatchedMuon([matrix], lr=0.02, weight_decay=0.1, momentum=0.95)
    groups = [
        {"params": rest[:1], "weight_decay": 0.1},
        {"params": rest[1:], "weight_decay": 0.0},
    ]
    adamw = torch.optim.AdamW(groups, lr=0.01, **OPTIONS)
    for step in range(5):
        backward(one, step)
        optimizer.step()
        backward(two, step)
        muon.step()
        adamw.step()
        assert_equal(one, two)
    assert [len(group["params"]) for group in optimizer.param_groups] == [1, 1, 4]


def test_the_step_of_a_matrix():
    """An orthogonal step whose root mean square is 0.2 of the learning rate."""
    module = network()
    optimizer = optimizer_of(module)
    optimizer.param_groups[0]["weight_decay"] = 0.0
    before = module[2].weight.detach().clone()
    left, right = (torch.linalg.qr(torch.randn(n, n)).Q for n in (6, 8))
    module[2].weight.grad = left @ torch.linspace(1, 0.2, 6).diag() @ right[:6]
    optimizer.step()
    step = (before - module[2].weight).double() / (0.02 * 0.2 * 8**0.5)
    values = torch.linalg.svdvals(step)
    assert bool(((values > 0.6) & (values < 1.3)).all())  # of Newton-Schulz, not exact


def test_state_goes_to_a_file_and_back(tmp_path):
    one = network()
    optimizer = optimizer_of(one)
    train(one, optimizer, range(3))
    torch.save({"model": one.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "a.pt")
    saved = torch.load(tmp_path / "a.pt", weights_only=True)
    two = network(1)
    two.load_state_dict(saved["model"])
    other = optimizer_of(two)
    other.load_state_dict(saved["optimizer"])
    train(one, optimizer, range(3, 6))
    train(two, other, range(3, 6))
    assert_equal(one, two)
    assert set(other.state) == set(two.parameters())
    other.param_groups[0]["lr"] = other.param_groups[2]["lr"] = 0.0
    backward(two, 6)
    kept = [two[2].weight.detach().clone(), two[4].bias.detach().clone()]
    other.step()
    assert torch.equal(kept[0], two[2].weight)
    assert torch.equal(kept[1], two[4].bias)


@pytest.mark.parametrize("how", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
def test_copies_are_independent(how):
    one = network()
    optimizer = optimizer_of(one)
    train(one, optimizer, range(2))
    two, other = how((one, optimizer))
    train(one, optimizer, range(2, 4))
    train(two, other, range(2, 4))
    assert_equal(one, two)


def test_closure():
    module = network()
    optimizer = optimizer_of(module)
    loss = optimizer.step(lambda: backward(module, 0))
    fresh = network()
    assert loss == backward(fresh, 0)
    assert not torch.equal(fresh[2].weight, module[2].weight)


def test_without_matrices():
    with pytest.raises(ValueError, match="no weight matrices between the first and the last layer"):
        MuonWithAdamW([], [{"params": []}], lr=1, muon_lr=1, weight_decay=0)
