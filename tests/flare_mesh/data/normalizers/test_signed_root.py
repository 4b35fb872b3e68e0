import pytest
import torch

from flare_mesh.data.normalizers import SignedRootNormalizer, build_normalizer


def test_roots_are_standardised():
    values = torch.tensor([[-4.0], [0.0], [4.0], [16.0]]).double()
    normalizer = build_normalizer("signed_root", 1).double().fit([values])
    roots = torch.tensor([[-2.0], [0.0], [2.0], [4.0]]).double()  # mean 1, mean square 6
    torch.testing.assert_close(normalizer(values), (roots - 1) / 5**0.5, rtol=1e-6, atol=1e-7)
    other = SignedRootNormalizer(1, power=1 / 3, center=False).double().fit([values**3 / 8])
    torch.testing.assert_close(other(values**3 / 8), values / values.square().mean().sqrt(),
                               rtol=1e-6, atol=1e-7)  # fmt: skip


def test_the_inverse_gives_the_values_back_on_both_sides_of_the_linear_part():
    normalizer = SignedRootNormalizer(1).double().fit([torch.randn(50, 1)])
    limit = float(normalizer.linear) ** 2
    values = limit * torch.tensor([[-1e6], [-2.0], [-1.0], [-0.5], [0.0], [0.3], [1.0], [9.0]])
    again = normalizer.inverse(normalizer(values.double()))
    torch.testing.assert_close(again, values.double(), rtol=1e-6, atol=1e-6 * limit)


@pytest.mark.parametrize("power", [0.1, 0.5, 0.9])
def test_gradients_are_finite_at_zero(power):
    normalizer = SignedRootNormalizer(1, power=power)
    for fitted in (normalizer, normalizer.fit([torch.randn(50, 1)])):
        value = torch.zeros(1, 1, requires_grad=True)
        (slope,) = torch.autograd.grad(fitted(value).sum(), value)
        assert bool(slope.isfinite().all())
    root = normalizer(torch.zeros(1, 1)).detach().requires_grad_()
    (slope,) = torch.autograd.grad(normalizer.inverse(root).sum(), root)
    assert float(slope) > 0


def test_bad_powers():
    for power in (0.0, 1.0, -2.0):
        with pytest.raises(ValueError, match=r"expected 'power' above 0 and below 1 \(got"):
            SignedRootNormalizer(2, power=power)
