import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from flare_mesh.data.normalizers import (
    FieldStatistics,
    IdentityNormalizer,
    UnitCubeNormalizer,
    UnitGaussianNormalizer,
)

KINDS = (IdentityNormalizer, UnitCubeNormalizer, UnitGaussianNormalizer)
all_kinds = pytest.mark.parametrize("kind", KINDS)


@all_kinds
@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**16),
    groups=st.sampled_from([None, (3, 1), (1, 2, 1), (4,)]),
    offset=st.sampled_from([0.0, 1.0, -50.0]),
    spread=st.sampled_from([1e-3, 1.0, 1e5]),
)
def test_the_inverse_gives_the_values_back(kind, seed, groups, offset, spread):
    generator = torch.Generator().manual_seed(seed)
    values = (torch.randn(20, 4, generator=generator, dtype=torch.float64) + offset) * spread
    normalizer = kind(4, groups=groups).double().fit([values])
    again = normalizer.inverse(normalizer(values))
    torch.testing.assert_close(again, values, rtol=0, atol=1e-14 * float(values.abs().max()))


@all_kinds
def test_dense_batches_and_empty_channels(kind):
    values = torch.randn(2, 5, 3)
    normalizer = kind(3).fit([values])
    assert torch.equal(normalizer(values)[1], normalizer(values[1]))
    assert kind(0)(torch.empty(4, 0)).shape == (4, 0)


@all_kinds
def test_saved_and_loaded(kind, tmp_path):
    fitted = kind(3, groups=(2, 1)).fit([torch.randn(9, 3) * 4 + 2])
    save_file(fitted.state_dict(), tmp_path / "n.safetensors")
    again = kind(3)
    again.load_state_dict(load_file(tmp_path / "n.safetensors"))
    values = torch.randn(4, 3)
    assert torch.equal(again(values), fitted(values))


@all_kinds
def test_shards_are_fitted_as_the_whole(kind):
    cases = [torch.randn(n, 2) * 3 + 5 for n in (4, 9, 1, 30)]
    shards = [FieldStatistics.gather(cases[i::2], 2) for i in range(2)]
    merged = kind(2).set_statistics(shards[0].merge(shards[1]))
    whole = kind(2).fit(cases)
    torch.testing.assert_close(merged(cases[0]), whole(cases[0]))


@pytest.mark.parametrize("kind", [UnitCubeNormalizer, UnitGaussianNormalizer])
def test_a_group_shares_its_scale(kind):
    values = torch.randn(50, 4, dtype=torch.float64) * torch.tensor([1.0, 5.0, 0.1, 2.0]) + 3
    normalizer = kind(4, groups=[3, 1]).double().fit([values])
    alone = kind(1).double().fit([values[:, 3:]])
    torch.testing.assert_close(normalizer(values)[:, 3:], alone(values[:, 3:]))
    # A rotation about the point that maps to the middle commutes with the normalisation.
    angle = 0.7
    q = torch.tensor(
        [
            [math.cos(angle), -math.sin(angle), 0.0],
            [math.sin(angle), math.cos(angle), 0.0],
            [0.0, 0.0, 1.0],
        ],
        dtype=torch.float64,
    )
    vector = values[:, :3]
    middle = torch.full((4,), 0.5 if kind is UnitCubeNormalizer else 0.0, dtype=torch.float64)
    centre = normalizer.inverse(middle)[:3]
    rotated = values.clone()
    rotated[:, :3] = (vector - centre) @ q.T + centre
    torch.testing.assert_close(
        normalizer(rotated)[:, :3] - middle[:3],
        (normalizer(values)[:, :3] - middle[:3]) @ q.T,
    )


@all_kinds
def test_bad_input(kind):
    with pytest.raises(ValueError, match=r"add up to 4 \(got \[3, 2\]\)"):
        kind(4, groups=[3, 2])
    with pytest.raises(ValueError, match="at least one channel"):
        kind(3, groups=[3, 0])
    with pytest.raises(ValueError, match=r"statistics of 3 channels \(got 2\)"):
        kind(3).set_statistics(FieldStatistics.empty(2))
    with pytest.raises(ValueError, match="at least one node"):
        kind(2).set_statistics(FieldStatistics.empty(2))


@pytest.mark.parametrize("kind", [UnitCubeNormalizer, UnitGaussianNormalizer])
def test_values_beyond_float32_are_refused(kind):
    with pytest.raises(ValueError, match=f"{kind.__name__}: the statistics .* do not fit"):
        kind(1).fit([torch.tensor([[1e300], [2e300]], dtype=torch.float64) ** 1.02])
    with pytest.raises(ValueError, match="at least one node"):
        kind(2).fit([])


def test_shown_with_its_groups():
    assert str(UnitGaussianNormalizer(4, groups=[3, 1])) == (
        "UnitGaussianNormalizer(4, groups=[3, 1])"
    )
    assert str(IdentityNormalizer(2)) == "IdentityNormalizer(2)"
