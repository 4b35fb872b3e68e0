import pytest
import torch

from flare_mesh.data.normalizers import FixedNormalizer, build_normalizer


def test_given_figures_are_not_fitted():
    normalizer = build_normalizer("fixed", 3, shift=[0.0, 1.0, -2.0], scale=[30.0, 30.0, 60.0])
    field = torch.tensor([[30.0, 16.0, 58.0], [-15.0, 1.0, -32.0]])
    expected = torch.tensor([[1.0, 0.5, 1.0], [-0.5, 0.0, -0.5]])
    torch.testing.assert_close(normalizer(field), expected)
    normalizer.fit([100 * field])
    torch.testing.assert_close(normalizer(field), expected)
    torch.testing.assert_close(normalizer.inverse(expected), field)


def test_shift_and_scale_have_neutral_defaults():
    field = torch.randn(5, 2)
    assert torch.equal(FixedNormalizer(2)(field), field)
    assert torch.equal(FixedNormalizer(2, scale=[2.0, 4.0])(field), field / torch.tensor([2.0, 4]))


def test_the_figures_are_saved_with_the_model():
    saved = FixedNormalizer(1, shift=[3.0], scale=[2.0]).state_dict()
    assert saved == {"shift": torch.tensor([3.0]), "scale": torch.tensor([2.0])}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shift": [1.0]}, "finite statistics, one per channel"),
        ({"shift": [1.0], "scale": [1.0]}, "of 2 channels"),
        ({"scale": [1.0, 0.0]}, "positive scales"),
        ({"scale": [1.0, float("nan")]}, "finite"),
    ],
)
def test_figures_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        FixedNormalizer(2, **options)
