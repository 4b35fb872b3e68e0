import pytest
import torch

from flare_mesh.data.normalizers import UnitCubeNormalizer


def test_bounds_map_to_the_limits_exactly():
    values = torch.tensor([[-2.0, 10.0], [0.5, 30.0], [2.0, 20.0]])
    assert UnitCubeNormalizer(2).fit(values.split(1))(values).tolist() == [
        [0.0, 0.0],
        [0.625, 1.0],
        [1.0, 0.5],
    ]
    wide = UnitCubeNormalizer(2, limits=(-1, 1)).fit([values])
    assert wide(values).tolist() == [[-1.0, -1.0], [0.25, 1.0], [1.0, 0.0]]


def test_published_bounds():
    low, high = (-2.0, -1.0, -4.5), (2.0, 4.5, 6.0)
    normalizer = UnitCubeNormalizer.from_bounds(low, high)
    corners = torch.tensor([low, high, (0.0, 0.0, 0.0)])
    expected = torch.tensor([[0.0] * 3, [1.0] * 3, [0.5, 1 / 5.5, 4.5 / 10.5]])
    torch.testing.assert_close(normalizer(corners), expected)
    thousand = UnitCubeNormalizer.from_bounds(low, high, limits=(0, 1000))
    torch.testing.assert_close(thousand(corners), 1000 * expected)


def test_a_group_keeps_its_proportions_in_the_middle():
    box = torch.tensor([[0.0, 10.0, 7.0], [4.0, 12.0, 7.0]])
    assert UnitCubeNormalizer(3, groups=[3]).fit([box])(box).tolist() == [
        [0.0, 0.25, 0.5],
        [1.0, 0.75, 0.5],
    ]


def test_a_constant_channel_keeps_its_scale():
    normalizer = UnitCubeNormalizer(1).fit([torch.full((9, 1), 25.0)])
    assert normalizer(torch.tensor([[25.0], [26.0]])).tolist() == [[0.5], [1.5]]


def test_bad_bounds():
    with pytest.raises(ValueError, match=r"limits that rise \(got \(1, 0\)\)"):
        UnitCubeNormalizer(2, limits=(1, 0))
    with pytest.raises(ValueError, match="minima below the maxima"):
        UnitCubeNormalizer.from_bounds([0.0, 1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="one per channel"):
        UnitCubeNormalizer.from_bounds([0.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="finite"):
        UnitCubeNormalizer.from_bounds([0.0], [torch.inf])
