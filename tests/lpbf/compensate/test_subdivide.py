import numpy as np
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf.compensate.subdivide import subdivide


def longest(surface):
    return np.linalg.norm(np.diff(surface.vertices[surface.edges_unique], axis=1), axis=2).max()


@settings(max_examples=10, deadline=None)
@given(
    extents=st.tuples(*[st.floats(0.5, 30.0)] * 3),
    max_edge=st.floats(1.0, 8.0),
    sections=st.integers(3, 9),
)
def test_edges_are_short_and_the_surface_is_the_same(extents, max_edge, sections):
    for part in (
        trimesh.creation.box(extents),
        trimesh.creation.cylinder(extents[0], extents[1], sections=sections),
    ):
        fine = subdivide(part, max_edge)
        assert longest(fine) <= max_edge
        assert fine.is_watertight
        assert fine.is_winding_consistent
        assert fine.euler_number == part.euler_number
        np.testing.assert_allclose(fine.volume, part.volume, rtol=1e-9)
        np.testing.assert_allclose(fine.area, part.area, rtol=1e-9)
        np.testing.assert_array_equal(fine.vertices[: len(part.vertices)], part.vertices)


def test_one_two_and_three_long_edges():
    corners = np.array([[0.0, 0, 0], [3, 0, 0], [0, 4, 0]])
    triangle = trimesh.Trimesh(corners, [[0, 1, 2]], process=False)
    assert len(subdivide(triangle, 5.0).faces) == 1
    assert len(subdivide(triangle, 4.5).faces) == 2
    assert len(subdivide(triangle, 3.5).faces) == 3
    assert len(subdivide(triangle, 2.9).faces) == 4
    for limit in (4.5, 3.5, 2.9):
        fine = subdivide(triangle, limit)
        np.testing.assert_allclose(fine.area, 6.0)
        np.testing.assert_array_less(0.9, fine.face_normals[:, 2])  # none is flipped


def test_an_open_surface_stays_as_open_as_it_was():
    box = trimesh.creation.box((9.0, 9.0, 9.0))
    box.update_faces(np.arange(12) > 0)
    fine = subdivide(box, 2.0)
    assert longest(fine) <= 2.0
    borders = trimesh.grouping.group_rows(fine.edges_sorted, require_count=1)
    outline = fine.vertices[fine.edges[borders]]
    length = np.linalg.norm(np.diff(outline, axis=1), axis=2).sum()
    np.testing.assert_allclose(length, (2 + 2**0.5) * 9.0)
