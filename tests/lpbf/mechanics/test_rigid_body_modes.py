import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf.mechanics.rigid_body_modes import rigid_body_modes


@settings(deadline=None, max_examples=15)
@given(st.integers(1, 40), st.integers(0, 1000), st.sampled_from([0.0, 1e4]))
def test_every_small_rigid_motion_is_a_combination(count, seed, offset):
    rng = np.random.default_rng(seed)
    points = 10 * rng.normal(size=(count, 3)) + offset
    modes = rigid_body_modes(points)
    assert modes.shape == (count, 3, 6)
    shift, axis = rng.normal(size=(2, 3))
    field = shift + np.cross(axis, points)
    amplitudes = np.concatenate([shift, axis[[2, 0, 1]]])
    np.testing.assert_allclose(modes @ amplitudes, field, atol=1e-12 * np.abs(field).max())
