from dataclasses import replace

import pytest
import torch

from flare_mesh.uncertainty import FieldBand, conformal_quantile
from flare_mesh.uncertainty.fit_band import case_errors, fit_band


def test_half_width():
    band = FieldBand(2, (0.25, 1.0, 0.5), 3.0, (2.0, 4.0))
    field = torch.tensor([[3.0, 4.0, 0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 2.0, 0.0, 1.0]])
    # Norms 5 and 0 in the first step, 0 and 2 in the second; the third has no known errors.
    first = [2 * (0.25 * size**2 + 12.5 + 4.5) ** 0.5 for size in (5, 0)]
    second = [4 * (0.25 * size**2 + 2 + 4.5) ** 0.5 for size in (0, 2)]
    expected = torch.tensor([first, second, [torch.nan] * 2]).T
    torch.testing.assert_close(band.half_width(field), expected, equal_nan=True)
    torch.testing.assert_close(band.half_width(field, 3.0), 3 * expected, equal_nan=True)
    assert FieldBand.from_dict(band.to_dict()) == band
    band = replace(band, likely=(0.8, 0.95), exponent=2.0)
    torch.testing.assert_close(band.half_width(field, 3.0), 9 * expected, equal_nan=True)
    assert FieldBand.from_dict(band.to_dict()) == band


@pytest.mark.parametrize("unit", [1e-24, 1e24])
def test_fields_in_any_unit(unit):
    """Values whose squares do not fit into float32 have the same band, in their unit."""
    generator = torch.Generator().manual_seed(0)
    fields = [torch.rand(50, 2, generator=generator) for _ in range(4)]
    errors = [0.1 * torch.randn(50, 2, generator=generator) for _ in fields]

    def width(unit):
        pairs = zip(fields, errors, strict=True)
        cases = [case_errors(unit * field, unit * (field - error), 2) for field, error in pairs]
        return fit_band(cases, 2, unit * 0.8, 0.9).half_width(unit * fields[0]) / unit

    torch.testing.assert_close(width(unit), width(1.0))


def test_the_scale_follows_the_errors():
    generator = torch.Generator().manual_seed(0)
    cases = []
    for size in (0.1, 1.0, 10.0, 2.0, 0.5):
        field = size * torch.rand(400, 1, generator=generator)
        # An error of 5 % of the value at each node.
        error = 0.05 * field * torch.randn(400, 1, generator=generator)
        cases.append(case_errors(field, field - error, 1))
    band = fit_band(cases, 1, 5.0, 0.9)
    assert band.shares[0] == 16.0
    assert band.shares[2] < 1e-6
    # 90 % of a normal variable are within 1.645 deviations.
    width = band.half_width(torch.full((1, 1), 8.0))
    assert float(width) == pytest.approx(1.645 * 0.05 * 8, rel=0.1)


def test_training_cases_decide_whether_errors_are_relative():
    generator = torch.Generator().manual_seed(0)

    def errors(size, share, difficulty=1.0):
        field = size * torch.rand(200, 1, generator=generator)
        error = share * torch.randn(200, 1, generator=generator)
        return case_errors(field, field - error, 1, difficulty=difficulty)

    training = [errors(size, 0.02 * size) for size in (0.1, 1.0, 10.0, 3.0)]
    # By chance the held-out cases have errors of the same size.
    held_out = [errors(size, 0.1) for size in (1.0, 2.0, 4.0)]
    assert fit_band(held_out, 1, 5.0, 0.9).shares[1:] == (0.0, 1.0)
    band = fit_band(held_out, 1, 5.0, 0.9, training=training)
    assert band.shares[1:] == (1.0, 1e-12)
    # Errors that grow with the difficulty have the same band, per difficulty.
    many = [errors(1.0, 0.01 * (1 + k), difficulty=1 + k) for k in range(10)]
    alike = [errors(1.0, 0.01) for _ in range(10)]
    grown, expected = (fit_band(part, 1, 5.0, 0.9) for part in (many, alike))
    assert grown.exponent == pytest.approx(1, abs=0.05)
    assert grown.quantiles[0] == pytest.approx(expected.quantiles[0], rel=0.15)
    # Errors that do not grow with it; 0.5 counts towards an exponent of 1.
    equal = [errors(1.0, 0.01, difficulty=1 + k) for k in range(10)]
    logs = torch.arange(1.0, 11.0).log()
    pull = 0.5 / (float(logs.var() * 9) + 0.5)
    assert fit_band(equal, 1, 5.0, 0.9).exponent == pytest.approx(pull, abs=0.05)


def test_training_cases_tell_how_much_cases_differ():
    field = torch.ones(60, 1, dtype=torch.float64)

    def errors(*logs):
        """Cases with one error at all nodes, so that every local scale is the same."""
        return [case_errors(field, field - torch.tensor(log).exp(), 1) for log in logs]

    held_out, training = errors(-3.0, -2.9, -3.1, -3.0), errors(-5.0, -4.0, -6.0)
    scores = [case.errors[:, 0].numpy() for case in held_out]
    for known, spread in ((training, 1.2), ([], None), (errors(-5.0), None)):
        band = fit_band(held_out, 1, 1.0, 0.9, training=known)
        expected = conformal_quantile(scores, 0.9, spread)
        assert float(band.half_width(field)[0, 0]) == pytest.approx(expected, rel=1e-5)
    # Steps beyond those of the training cases: their last step tells.
    longer = [case_errors(field.expand(-1, 2), field - case.errors, 1) for case in held_out]
    quantiles = fit_band(longer, 1, 1.0, 0.9, training=training).quantiles
    assert quantiles[0] == quantiles[1]


@pytest.mark.parametrize(
    "damage",
    [
        {"channels": 0},
        {"shares": [1, 2]},
        {"quantiles": [float("nan")]},
        {"magnitude": -1},
        {"quantiles": []},
        {"likely": [0.8]},
    ],
)
def test_damaged_values(damage):
    values = FieldBand(1, (1.0, 1.0, 1.0), 1.0, (1.0,)).to_dict()
    with pytest.raises(ValueError, match=r"damaged|unpack"):
        FieldBand.from_dict({**values, **damage})
