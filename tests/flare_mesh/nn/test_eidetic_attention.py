import math

import torch

from flare_mesh.nn.eidetic_attention import EideticAttention, gumbel_noise


def test_noise_has_the_gumbel_distribution():
    torch.manual_seed(0)
    noise = gumbel_noise(torch.empty(200_000, dtype=torch.float64))
    assert bool(noise.isfinite().all())
    assert abs(float(noise.mean()) - 0.5772) < 0.01
    assert abs(float(noise.var()) - math.pi**2 / 6) < 0.03
    # P(noise < t) = exp(-exp(-t))
    for t in (-1.0, 0.0, 2.0):
        share = float((noise < t).double().mean())
        assert abs(share - math.exp(-math.exp(-t))) < 0.005


def test_noise_is_finite_where_the_generator_gives_zero(monkeypatch):
    monkeypatch.setattr(torch, "rand_like", torch.zeros_like)
    assert bool(gumbel_noise(torch.empty(3)).isfinite().all())


def test_temperatures_have_a_lower_bound():
    attention = EideticAttention(6, 2, 3, gumbel="train")
    with torch.no_grad():
        attention.base_temperature -= 5.0
    temperatures = attention.temperatures(torch.randn(1, 2, 7, 3))
    assert temperatures.shape == (1, 2, 7, 1)
    assert bool((temperatures == 0.01).all())
