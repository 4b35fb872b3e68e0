import math

import pytest
import torch

from flare_mesh.nn.encoders import FourierEncoder


def test_equation():
    encoder = FourierEncoder(2, 8, 3, num_frequencies=5)
    x, pos = torch.randn(6, 2), torch.randn(6, 3)
    turns = torch.einsum("fd,nd->nf", encoder.frequencies, pos)
    features = [pos, x, (2 * math.pi * turns).cos(), (2 * math.pi * turns).sin()]
    torch.testing.assert_close(encoder(x, pos), encoder.mlp(torch.cat(features, dim=-1)))


def test_sigma_is_in_cycles_per_unit_length():
    torch.manual_seed(0)
    encoder = FourierEncoder(0, 8, 2, num_frequencies=5000, sigma=3.0)
    assert 2.9 < float(encoder.frequencies.std()) < 3.1
    encoder.frequencies.copy_(torch.tensor([2.0, 0.0]).expand(5000, 2))
    encoder.mlp.layers[0].weight.data[:, :2] = 0  # leaves the periodic features
    pos = torch.rand(7, 2)
    moved = pos + torch.tensor([0.5, 0.3])  # one period of 2 cycles per unit length
    torch.testing.assert_close(encoder(None, moved), encoder(None, pos), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("learned", [False, True])
def test_frequencies_train_only_if_learned(learned):
    encoder = FourierEncoder(0, 8, 2, num_frequencies=4, learned=learned)
    for layer in encoder.mlp.layers:
        torch.nn.init.normal_(layer.weight, std=0.4)
    assert ("frequencies" in dict(encoder.named_parameters())) is learned
    assert ("frequencies" in dict(encoder.named_buffers())) is not learned
    assert "frequencies" in encoder.state_dict()
    before = encoder.frequencies.detach().clone()
    optimizer = torch.optim.SGD(encoder.parameters(), lr=0.1)
    encoder(None, torch.rand(9, 2)).square().sum().backward()
    optimizer.step()
    assert torch.equal(encoder.frequencies, before) is not learned


def test_a_state_serves_fixed_and_learned_frequencies():
    fixed = FourierEncoder(0, 8, 2, num_frequencies=4)
    learned = FourierEncoder(0, 8, 2, num_frequencies=4, learned=True)
    learned.load_state_dict(fixed.state_dict())
    pos = torch.rand(9, 2)
    torch.testing.assert_close(learned(None, pos), fixed(None, pos))


def test_phase_keeps_its_precision_under_autocast():
    encoder = FourierEncoder(0, 8, 2, num_frequencies=4, sigma=100.0)
    seen = []
    encoder.mlp.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    pos = torch.rand(9, 2)
    encoder(None, pos)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        encoder(None, pos)
    torch.testing.assert_close(seen[1], seen[0], rtol=0, atol=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_frequencies": 0}, r"'num_frequencies' >= 1 \(got 0\)"),
        ({"sigma": 0.0}, r"'sigma' to be positive \(got 0.0\)"),
        ({"sigma": math.inf}, r"'sigma' to be positive \(got inf\)"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        FourierEncoder(0, 8, 2, **options)


def test_repr():
    encoder = FourierEncoder(2, 8, 3, num_frequencies=4, sigma=2.0, learned=True)
    assert repr(encoder) == "FourierEncoder(2, 8, 3, num_frequencies=4, sigma=2.0, learned=True)"
