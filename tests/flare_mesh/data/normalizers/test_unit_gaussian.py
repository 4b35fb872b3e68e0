import pytest
import torch

from flare_mesh.data import UnitGaussianNormalizer


def test_statistics_of_pieces_are_those_of_the_whole():
    torch.manual_seed(0)
    pieces = [torch.randn(n, 3) * torch.tensor([1.0, 5.0, 0.01]) + 100 for n in (1, 50, 0, 7)]
    normalizer = UnitGaussianNormalizer(3).fit(pieces)
    whole = torch.cat(pieces).double()
    torch.testing.assert_close(normalizer.mean.double(), whole.mean(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(
        normalizer.std.double(), whole.std(0, unbiased=False), rtol=1e-5, atol=0
    )


def test_inverse():
    values = torch.randn(20, 2) * 3 + 1
    normalizer = UnitGaussianNormalizer(2).fit([values])
    scaled = normalizer(values)
    torch.testing.assert_close(scaled.mean(0), torch.zeros(2), atol=1e-6, rtol=0)
    torch.testing.assert_close(normalizer.inverse(scaled), values)


def test_a_constant_channel_keeps_its_scale():
    normalizer = UnitGaussianNormalizer(1).fit([torch.full((9, 1), 25.0)])
    assert normalizer(torch.tensor([[26.0]])).item() == pytest.approx(1.0)


def test_saved_with_the_module():
    fitted = UnitGaussianNormalizer(2).fit([torch.randn(5, 2)])
    again = UnitGaussianNormalizer(2)
    again.load_state_dict(fitted.state_dict())
    assert torch.equal(again.mean, fitted.mean)


def test_bad_values():
    with pytest.raises(ValueError, match="case 1: 2 values to normalise are NaN or infinite"):
        UnitGaussianNormalizer(2).fit(
            [torch.zeros(3, 2), torch.tensor([[1.0, torch.nan], [torch.inf, 0.0]])]
        )
    with pytest.raises(ValueError, match="at least one node"):
        UnitGaussianNormalizer(2).fit([])
