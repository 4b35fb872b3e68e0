import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from flare_mesh.datasets.match_points import match_points

POINTS = arrays(
    np.float32, st.tuples(st.integers(0, 12), st.just(2)), elements=st.sampled_from([0, -0.0, 1, 2])
)


@settings(deadline=None, max_examples=100)
@given(POINTS, POINTS)
def test_against_a_dictionary(points, others):
    # As in Transolver's code: keys are tuples of coordinates, and the last one wins.
    rows = {tuple(point): row for row, point in enumerate(others.tolist())}
    expected = [rows.get(tuple(point), -1) for point in points.tolist()]
    assert match_points(points, others).tolist() == expected


def test_mixed_precision():
    points = np.array([[0.5, 0.1], [0.1, 0.5]], np.float32)
    assert match_points(points, points[::-1].astype(float)).tolist() == [1, 0]
    assert match_points(points, np.array([[0.5, 0.1]])).tolist() == [-1, -1]
