import pytest
import torch

from flare_mesh.data.normalizers import LogNormalizer, build_normalizer


def test_logarithms_are_standardised():
    values = torch.tensor([[1.0, 1e-3], [10.0, 1e3], [100.0, 1e-3], [1e3, 1e3]]).double()
    normalizer = build_normalizer("log", 2).double().fit([values[:1], values[1:]])
    assert isinstance(normalizer, LogNormalizer)
    # Of the decadic logarithms 0, 1, 2, 3, the deviation is the root of 5/4.
    expected = (torch.arange(4).double() - 1.5) / 1.25**0.5
    torch.testing.assert_close(normalizer(values)[:, 0], expected, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(normalizer(values)[:, 1], torch.tensor([-1.0, 1, -1, 1]).double(),
                               rtol=1e-6, atol=1e-6)  # fmt: skip
    torch.testing.assert_close(normalizer.inverse(normalizer(values)), values)


def test_values_that_are_not_positive_are_refused():
    some = [torch.ones(3, 1), torch.tensor([[1.0], [-2.0], [0.0]])]
    with pytest.raises(
        ValueError, match=r"case 1: expected positive values.*'log'.* \(got -2\); take 'signed_root"
    ):
        LogNormalizer(1).fit(some)
