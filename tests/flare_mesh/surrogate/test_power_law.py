import pytest
import torch

from flare_mesh.surrogate.power_law import PowerLaw


def test_an_exact_law_is_recovered():
    z = torch.randn(8, 3, generator=torch.Generator().manual_seed(0)).double()
    z[:, 2] = 5.0  # constant: without influence
    law = PowerLaw.fit(z, 2 * z[:, 0] - 3 * z[:, 1] + 0.5)
    torch.testing.assert_close(law.exponents, torch.tensor([2.0, -3.0, 0.0]).double(), rtol=1e-6,
                               atol=0)  # fmt: skip
    assert law.constant == pytest.approx(float(2 * z[:, 0].mean() - 3 * z[:, 1].mean()) + 0.5)
    assert law.explained == pytest.approx(1, abs=1e-9)


def test_the_error_is_that_of_cases_left_out():
    """Against regressions on all cases but one, with each penalty."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(9, 2, generator=generator, dtype=torch.float64)
    y = z[:, 0] + torch.randn(9, generator=generator, dtype=torch.float64)
    z, rest = (z - z.mean(0)) / z.std(0, correction=0), y - y.mean()
    found = []
    for penalty in 9 * 10.0 ** torch.arange(-8, 2.25, 0.25, dtype=torch.float64):
        error = 0.0
        for i in range(9):
            kept = torch.arange(9) != i
            a = torch.cat([torch.ones(8, 1).double(), z[kept]], 1)
            ridge = torch.diag(torch.tensor([0.0, penalty, penalty]).double())
            b = torch.linalg.solve(a.T @ a + ridge, a.T @ rest[kept])
            error += float((b[0] + z[i] @ b[1:] - rest[i]) ** 2)
        found.append(error)
    by_mean = float((rest * 9 / 8).square().sum())
    assert PowerLaw.fit(z, y).explained == pytest.approx(1 - min(found) / by_mean, rel=1e-9)


def test_a_law_that_is_not_better_than_the_mean_is_the_mean():
    z = torch.tensor([[0.0], [1.0], [0.0], [1.0]])
    for y in (torch.tensor([1.0, 1.0, 2.0, 2.0]), torch.full((4,), 3.0)):
        law = PowerLaw.fit(z, y)
        assert (law.constant, law.explained) == (float(y.mean()), 0.0)
        assert not law.exponents.any()
    assert PowerLaw.fit(torch.zeros(5, 0), torch.arange(5)).constant == 2.0
    assert not PowerLaw.fit(z[:2], torch.tensor([0.0, 9.0])).exponents.any()


def test_rounding_of_a_logarithm_is_absolute_and_of_a_number_relative():
    z = 1e-7 * torch.linspace(-1, 2, 9, dtype=torch.float64)[:, None]
    y = 2e7 * z[:, 0]
    # Logarithms of numbers that are 1 but for rounding; and numbers such as metres.
    assert not PowerLaw.fit(z, y).exponents.any()
    law = PowerLaw.fit(z, y, is_log=torch.tensor([False]))
    torch.testing.assert_close(law.exponents, torch.tensor([2e7]).double(), rtol=1e-5, atol=0)
    constant = torch.full((9, 1), 3e-7, dtype=torch.float64)
    constant[0] *= 1 + 1e-7
    assert not PowerLaw.fit(constant, y, is_log=torch.tensor([False])).exponents.any()
