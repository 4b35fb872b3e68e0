import numpy as np
import pytest
import trimesh

from lpbf import PartWarning, compensate
from lpbf.compensate.merge_bodies import merge_bodies
from lpbf.compensate.self_intersections import intersecting_pairs
from lpbf.compensate.subdivide import subdivide
from lpbf.compensate.topology import compare_topology


def box(x, y, z):
    low, high = np.array([x, y, z], dtype=float).T
    return trimesh.creation.box(high - low).apply_translation((low + high) / 2)


def fork():
    """Two walls beside a gap of 1 mm, open at the top."""
    walls = [box((-6, -0.5), (0, 4), (0, 8)), box((0.5, 6), (0, 4), (0, 8))]
    return trimesh.boolean.union([*walls, box((-6, 6), (0, 4), (0, 2))])


@pytest.mark.parametrize("seed", range(3))
def test_pairs_are_those_of_a_loop_over_all_triangles(seed):
    """Against the solution of start + t way = a + u (b - a) + v (c - a) for each edge."""
    rng = np.random.default_rng(seed)
    vertices = rng.uniform(size=(24, 3)) * [1, 1, 0.5]
    faces = np.array([rng.choice(24, 3, replace=False) for _ in range(30)])
    expected = set()
    for one, two in [(i, j) for i in range(30) for j in range(30) if i != j]:
        a, b, c = vertices[faces[two]]
        for start, end in faces[one][[[0, 1], [1, 2], [2, 0]]]:
            if {start, end} & set(faces[two].tolist()):
                continue
            way = vertices[end] - vertices[start]
            t, u, v = np.linalg.solve(np.stack([-way, b - a, c - a], axis=1), vertices[start] - a)
            if 0 < t < 1 and u > 0 and v > 0 and u + v < 1:
                expected.add((min(one, two), max(one, two)))
    found = intersecting_pairs(vertices, faces)
    assert 10 < len(expected) == len(found)
    assert set(map(tuple, found.tolist())) == expected


def test_bodies_that_touch_do_not_intersect():
    part = trimesh.util.concatenate([box((0, 2), (0, 2), (0, 2)), box((2, 4), (0, 2), (0, 2))])
    assert len(intersecting_pairs(part.vertices, part.faces)) == 0
    overlapping = part.vertices - [0.5, 0.25, 0.125] * (np.arange(16) >= 8)[:, None]
    assert len(intersecting_pairs(overlapping, part.faces)) > 0


def test_a_gap_that_closes_is_named():
    part = subdivide(fork(), 1.0)
    x, _, z = part.vertices.T
    towards = np.clip((z - 4) / 4, 0, 1) * (np.abs(x) < 0.6) * -np.sign(x)
    moved = part.copy()
    moved.vertices = part.vertices + 0.8 * towards[:, None] * [1, 0, 0]
    before, after, defects = compare_topology(part, moved)
    assert (before.watertight, before.bodies, before.euler_number) == (True, 1, 2)
    assert before.intersections == 0
    assert (after.watertight, after.euler_number) == (True, 2)
    (defect,) = defects
    assert defect.count == after.intersections > 0
    ((x, y, z), number), *others = defect.places
    assert not others
    assert number == defect.count
    assert (x, y) == pytest.approx((0, 2), abs=0.2)
    assert 6 < z < 8  # the walls meet at 6.5 mm
    assert str(defect).startswith(f"{number} intersecting pairs of triangles: {number} around (")


def test_inverted_and_degenerate_triangles():
    part = box((0, 2), (0, 2), (0, 2))
    through = part.copy()
    corner = np.flatnonzero((part.vertices == 2).all(axis=1))
    through.vertices[corner] = [0.1, 0.1, -2.0]
    kinds = {defect.kind for defect in compare_topology(part, through)[2]}
    assert "inverted triangles" in kinds
    flat = part.copy()
    flat.vertices[corner] = part.vertices[(part.vertices == [0, 2, 2]).all(axis=1)]
    _, after, defects = compare_topology(part, flat)
    assert after.degenerate > 0
    assert "degenerate triangles" in {defect.kind for defect in defects}


def test_bodies_that_touch_are_united():
    """Two boxes with a common face, one that overlaps, one apart; as trimesh counts volumes."""
    touching = [box((0, 4), (0, 4), (0, 4)), box((4, 8), (1, 3), (0, 2))]
    overlapping, apart = box((0, 4), (3, 6), (0, 4)), box((12, 14), (0, 2), (0, 2))
    part = trimesh.util.concatenate([*touching, overlapping, apart])
    united = merge_bodies(part)
    assert united.body_count == 2
    assert united.is_watertight
    assert united.volume == pytest.approx(64 + 16 + 2 * 16 + 8)
    separate = trimesh.util.concatenate([touching[0], apart])
    assert merge_bodies(separate) is separate
    cavity = box((1, 3), (1, 3), (1, 3))
    cavity.invert()
    hollow = trimesh.util.concatenate([touching[0], cavity])
    assert merge_bodies(hollow) is hollow


@pytest.mark.filterwarnings("ignore:part. has 2 bodies")
def test_a_compensation_reports_the_topology():
    part = trimesh.util.concatenate([box((0, 8), (0, 4), (0, 4)), box((8, 12), (0, 4), (0, 2))])
    result = compensate(part, pitch=2.0, displacement=lambda mesh: 0.01 * mesh.points)
    assert (result.bodies, result.topology.bodies) == (2, 1)
    assert result.topology == result.topology_as_designed
    assert result.topology.watertight
    assert not result.defects

    def open_up(mesh):
        x, _, z = mesh.points.T
        return (0.8 * np.sign(x) * np.clip((z - 3) / 4, 0, 1))[:, None] * [1.0, 0, 0]

    with pytest.warns(PartWarning, match=r"has \d+ intersecting pairs of triangles: \d+ around"):
        closed = compensate(fork(), pitch=(0.8, 1.0, 1.0), displacement=open_up)
    assert closed.defects
    assert closed.to_dict()["defects"][0]["kind"] == "intersecting pairs of triangles"
