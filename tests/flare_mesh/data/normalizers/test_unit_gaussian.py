import pytest
import torch

from flare_mesh.data import UnitGaussianNormalizer


def test_statistics_of_pieces_are_those_of_the_whole():
    torch.manual_seed(0)
    shards = [torch.randn(n, 3) * torch.tensor([1.0, 5.0, 0.01]) + 100 for n in (1, 50, 0, 7)]
    normalizer = UnitGaussianNormalizer(3).fit(shards)
    whole = torch.cat(shards).double()
    torch.testing.assert_close(normalizer.shift.double(), whole.mean(0), rtol=1e-6, atol=0)
    torch.testing.assert_close(
        normalizer.scale.double(), whole.std(0, unbiased=False), rtol=1e-5, atol=0
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
    assert torch.equal(again.shift, fitted.shift)


def test_bad_values():
    with pytest.raises(ValueError, match="case 1: 2 values to normalise are NaN or infinite"):
        UnitGaussianNormalizer(2).fit(
            [torch.zeros(3, 2), torch.tensor([[1.0, torch.nan], [torch.inf, 0.0]])]
        )
    with pytest.raises(ValueError, match="at least one node"):
        UnitGaussianNormalizer(2).fit([])


def test_a_group_shares_the_root_of_its_mean_variance():
    values = torch.tensor([[1.0, 2.0, 0.0], [-1.0, 8.0, 4.0]])
    normalizer = UnitGaussianNormalizer(3, groups=[2, 1]).fit([values])
    assert normalizer.shift.tolist() == [0.0, 5.0, 2.0]
    assert normalizer.scale.tolist() == pytest.approx([5**0.5, 5**0.5, 2.0])


def test_uncentred_scaling_commutes_with_every_turn():
    values = torch.randn(30, 2, dtype=torch.float64) + torch.tensor([3.0, -1.0])
    q = torch.tensor([[0.6, -0.8], [0.8, 0.6]], dtype=torch.float64)
    options = {"groups": [2], "center": False}
    plain, rotated = (
        UnitGaussianNormalizer(2, **options).double().fit([v]) for v in (values, values @ q.T)
    )
    assert plain.shift.tolist() == [0, 0]
    torch.testing.assert_close(rotated.scale, plain.scale)
    torch.testing.assert_close(plain(values @ q.T), plain(values) @ q.T)
    assert float(plain(values).square().mean()) == pytest.approx(1.0)


def test_node_weights():
    values = torch.tensor([[0.0], [4.0], [9.0]])
    weighted = UnitGaussianNormalizer(1).fit([values], [torch.tensor([3.0, 1.0, 0.0])])
    repeated = UnitGaussianNormalizer(1).fit([values[[0, 0, 0, 1]]])
    assert torch.equal(weighted.shift, repeated.shift)
    assert torch.equal(weighted.scale, repeated.scale)


def test_rounding_of_a_large_constant_is_no_variation():
    values = torch.full((1000, 1), 0.1, dtype=torch.float64).split(7)
    assert UnitGaussianNormalizer(1).fit(values).scale.item() == 1.0
    minute = torch.tensor([[0.0], [1e-60]], dtype=torch.float64)
    assert UnitGaussianNormalizer(1).fit([minute]).scale.item() == 1.0
