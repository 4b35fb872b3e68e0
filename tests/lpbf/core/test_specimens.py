import numpy as np
import pytest

from lpbf.core.specimens import ambench_bridge


def test_the_bridge_has_the_published_dimensions():
    bridge = ambench_bridge()
    assert bridge.is_watertight
    assert bridge.body_count == 1
    assert bridge.volume == pytest.approx(3732.5, abs=1e-6)
    np.testing.assert_allclose(bridge.bounds, [[0, 0, 0], [75, 5, 12.5]], atol=1e-9)


def test_the_bridge_stands_on_twelve_legs_and_an_end_block():
    bridge = ambench_bridge()
    feet = bridge.triangles[(np.abs(bridge.triangles[:, :, 2]) < 1e-9).all(axis=1)]
    area = np.linalg.norm(np.cross(feet[:, 1] - feet[:, 0], feet[:, 2] - feet[:, 0]), axis=1) / 2
    assert area.sum() == pytest.approx(5 * 4 * (5 + 0.5 + 2.5) + 5 * 19 - 2.5**2)
    edges = np.unique(feet[:, :, 0].round(9))
    lefts = [(14 * n, 14 * n + 7, 14 * n + 9.5) for n in range(4)]
    expected = [
        (x, x + width) for group in lefts for x, width in zip(group, (5, 0.5, 2.5), strict=True)
    ]
    np.testing.assert_allclose(edges, [*np.ravel(expected), 56, 72.5, 75])


def test_the_gaps_of_the_bridge_close_upwards_by_a_slope():
    bridge = ambench_bridge()
    ceiling = bridge.face_normals[:, 2] < -0.1
    normals = bridge.face_normals[ceiling & (bridge.triangles_center[:, 2] > 1)]
    np.testing.assert_allclose(normals, [[-(0.5**0.5), 0, -(0.5**0.5)]] * len(normals), atol=1e-9)
    assert bridge.area_faces[ceiling & (bridge.triangles_center[:, 2] > 1)].sum() == pytest.approx(
        12 * 5 * 8**0.5
    )
