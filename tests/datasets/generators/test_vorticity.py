from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp

from flare_mesh.datasets.generators.random_field import periodic_field
from flare_mesh.datasets.generators.vorticity import SCHEMES, VorticityFlow


def grid(size):
    x = torch.arange(size, dtype=torch.float64) / size
    return torch.meshgrid(2 * torch.pi * x, 2 * torch.pi * x, indexing="ij")


def initial(size, seed=0, scale=4.0):
    return scale * torch.from_numpy(periodic_field(np.random.default_rng(seed), size))


def last(flow, vorticity, times=1, interval=1.0):
    *_, end = flow.run(vorticity, times, interval)
    return end


def low_waves(field):
    """Without the wave numbers that the solver leaves out."""
    size = field.shape[-1]
    waves = torch.fft.fft2(field)
    k = torch.fft.fftfreq(size, 1 / size).abs() <= (size - 1) // 3
    return torch.fft.ifft2(waves * k[:, None] * k).real


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("waves", [1, 3])
def test_taylor_green_vortices_decay_as_they_should(scheme, waves):
    x, y = grid(16)
    start = torch.cos(waves * x) * torch.cos(waves * y)
    flow = VorticityFlow(16, viscosity=1e-3, scheme=scheme, dt=0.01)
    fields = list(flow.run(start, 2, 0.5))
    for i, field in enumerate(fields):
        decay = np.exp(-8 * np.pi**2 * waves**2 * 1e-3 * 0.5 * (i + 1))
        rtol = 1e-12 if scheme == "rk4" else 1e-3
        torch.testing.assert_close(field, decay * start, rtol=rtol, atol=1e-3 * rtol)


def test_one_forced_wave_against_its_closed_form():
    x, y = grid(12)
    force = 0.1 * torch.sin(x + y)
    flow = VorticityFlow(12, viscosity=2e-3, dt=0.05, forcing=force)
    rate = 2e-3 * 8 * np.pi**2
    expected = force * (1 - np.exp(-3 * rate)) / rate
    torch.testing.assert_close(last(flow, torch.zeros(12, 12), 3), expected, rtol=1e-8, atol=1e-10)


def test_against_the_plain_equation_and_another_integrator():
    """u . grad w from full complex transforms, integrated by SciPy."""
    size, viscosity = 18, 1e-3
    k = np.fft.fftfreq(size, 1 / size)
    kx, ky = 2j * np.pi * k[:, None], 2j * np.pi * k[None]
    laplacian = kx**2 + ky**2
    resolved = (np.abs(k[:, None]) <= (size - 1) // 3) & (np.abs(k) <= (size - 1) // 3)
    inverse = np.divide(-1, laplacian, out=np.zeros_like(laplacian), where=laplacian != 0)
    x, y = grid(size)
    force = 0.1 * (torch.sin(x + y) + torch.cos(x + y))

    def change(_, w):
        waves = np.fft.fft2(w.reshape(size, size))
        stream = inverse * waves
        u, v = np.fft.ifft2(ky * stream).real, np.fft.ifft2(-kx * stream).real
        wx, wy = np.fft.ifft2(kx * waves).real, np.fft.ifft2(ky * waves).real
        result = np.fft.fft2(-u * wx - v * wy) * resolved + viscosity * laplacian * waves
        return (np.fft.ifft2(result).real + force.numpy()).ravel()

    start = low_waves(initial(size))
    reference = solve_ivp(
        change, (0, 2), start.numpy().ravel(), "DOP853", rtol=1e-10, atol=1e-12
    ).y[:, -1]
    flow = VorticityFlow(size, viscosity=viscosity, dt=0.01, forcing=force)
    result = last(flow, start, 2).numpy().ravel()
    assert np.abs(reference - start.numpy().ravel()).max() > 0.5
    np.testing.assert_allclose(result, reference, atol=1e-8)


@pytest.mark.parametrize(("scheme", "dt", "order"), [("rk4", 0.125, 4), ("euler", 0.02, 1)])
def test_order_in_time(scheme, dt, order):
    start = initial(24, scale=8.0)
    exact = last(VorticityFlow(24, viscosity=1e-3, dt=dt / 16), start)
    errors = [
        (last(VorticityFlow(24, viscosity=1e-3, scheme=scheme, dt=step), start) - exact).norm()
        for step in (dt, dt / 2, dt / 4)
    ]
    for coarse, fine in pairwise(errors):
        assert torch.log2(coarse / fine).item() == pytest.approx(order, abs=0.15)


def energy_and_enstrophy(vorticity):
    size = vorticity.shape[-1]
    k = torch.fft.fftfreq(size, 1 / size, dtype=torch.float64)
    laplacian = 4 * torch.pi**2 * (k[:, None] ** 2 + k**2)
    power = torch.fft.fft2(vorticity).abs() ** 2 / size**4
    laplacian[0, 0] = torch.inf
    return (power / laplacian).sum().item() / 2, power.sum().item() / 2


def test_energy_and_enstrophy():
    start = low_waves(initial(32, 1))
    energy, enstrophy = energy_and_enstrophy(start)
    free = last(VorticityFlow(32, viscosity=0.0, dt=0.01), start, 2)
    assert (free - start).norm() > 0.1 * start.norm()
    assert energy_and_enstrophy(free) == pytest.approx((energy, enstrophy), rel=1e-8)

    # dE/dt = -2 nu Z, integrated by Simpson's rule.
    viscosity = 1e-3
    flow = VorticityFlow(32, viscosity=viscosity, dt=0.01)
    values = [(energy, enstrophy)]
    values += [energy_and_enstrophy(field) for field in flow.run(start, 10, 0.1)]
    energies, enstrophies = np.array(values).T
    lost = 0.1 / 3 * (enstrophies[[0, -1]].sum() + 4 * enstrophies[1::2].sum())
    lost += 0.1 / 3 * 2 * enstrophies[2:-1:2].sum()
    assert energies[0] - energies[-1] == pytest.approx(2 * viscosity * lost, rel=1e-5)
    assert (np.diff(enstrophies) < 0).all()


def test_shifted_and_batched_flows():
    flow = VorticityFlow(16, viscosity=1e-4, dt=0.05)
    one, two = initial(16, 1), initial(16, 2)
    together = last(flow, torch.stack([one, two]))
    torch.testing.assert_close(together[0], last(flow, one), rtol=0, atol=1e-13)
    torch.testing.assert_close(together[1], last(flow, two), rtol=0, atol=1e-13)
    shifted = last(flow, two.roll((3, 5), (0, 1)))
    torch.testing.assert_close(shifted, together[1].roll((3, 5), (0, 1)), rtol=0, atol=1e-13)


def test_errors():
    with pytest.raises(ValueError, match="unknown scheme 'heun'; choose from"):
        VorticityFlow(8, viscosity=0.0, scheme="heun")
    with pytest.raises(ValueError, match=r"expected a dt > 0 of which 1 is a multiple \(got 0.3\)"):
        next(VorticityFlow(8, viscosity=0.0, dt=0.3).run(torch.zeros(8, 8), 1))
    flow = VorticityFlow(16, viscosity=0.0, scheme="euler", dt=0.5)
    with pytest.raises(ValueError, match=r"unstable before t = \d+ with dt = 0.5; use a sm"):
        last(flow, 100 * initial(16), 100)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_on_a_gpu():
    start = torch.stack([initial(64, seed) for seed in range(3)])
    here, there = (
        last(VorticityFlow(64, viscosity=1e-4, device=device), start) for device in ("cpu", "cuda")
    )
    torch.testing.assert_close(there.cpu(), here, rtol=0, atol=1e-11)
