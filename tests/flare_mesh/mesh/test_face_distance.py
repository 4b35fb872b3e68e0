import itertools

import numpy as np
import pytest
import torch
import trimesh

from flare_mesh.mesh.boundary import boundary_faces
from flare_mesh.mesh.face_distance import face_distance, face_offset
from flare_mesh.testing import mixed_mesh, unit_mesh


def brute_force(points, triangles):
    """Distance and offset from the nearest triangle by trimesh, and whether none is as near."""
    found = [
        trimesh.triangles.closest_point(np.broadcast_to(one, (len(points), 3, 3)), points)
        for one in triangles
    ]
    offsets = points - np.stack(found)
    distances = np.linalg.norm(offsets, axis=2)
    nearest = distances.min(axis=0)
    single = (distances <= nearest * (1 + 2e-4)).sum(axis=0) == 1
    return nearest, offsets[distances.argmin(axis=0), np.arange(len(points))], single


@pytest.mark.parametrize("faces", [1, 4, 5, 33])
def test_random_triangles(faces):
    rng = np.random.default_rng(faces)
    nodes = rng.normal(size=(3 * faces, 3))
    points = np.concatenate([rng.normal(size=(200, 3)), nodes])
    corners = torch.arange(3 * faces).reshape(-1, 3)
    got = face_offset(torch.from_numpy(points), torch.from_numpy(nodes), {"triangle": corners})
    distance, offset, single = brute_force(points, nodes.reshape(-1, 3, 3))
    np.testing.assert_allclose(got[0], distance, rtol=0, atol=1e-12)
    np.testing.assert_allclose(got[1][single], offset[single], rtol=0, atol=1e-12)


def test_equally_near_faces():
    """Between two parallel walls the offset vanishes, whatever their order."""
    pos, cells = unit_mesh("quad")
    lines = boundary_faces(cells).faces["line"]
    at = torch.tensor([[0.5, 0.2], [0.3, 0.5], [0.2, 0.2], [0.5, 0.5]], dtype=torch.float64)
    expected = [[0, 0.2], [0.3, 0], [0.1, 0.1], [0, 0]]
    for faces in (lines, lines.flip(0)):
        distance, offset = face_offset(at, pos, {"line": faces})
        torch.testing.assert_close(distance, torch.tensor([0.2, 0.3, 0.2, 0.5]).double())
        torch.testing.assert_close(offset, torch.tensor(expected, dtype=torch.float64))


def test_a_nearer_point_replaces_its_neighbour():
    """The first two are one point to the tolerance, of which only the second is near enough."""
    points = torch.tensor([[1.000075, 0.0], [1.0, 0.0], [0.0, 0.99996]], dtype=torch.float64)
    for order in itertools.permutations(range(3)):
        lines = torch.tensor([[i, i] for i in order])
        _, offset = face_offset(torch.zeros(1, 2).double(), points, {"line": lines})
        torch.testing.assert_close(offset, torch.tensor([[-0.5, -0.49998]]).double())


def test_rounding_on_a_face():
    """Points that are nearer to each other than the rounding of their distances."""
    rng = np.random.default_rng(0)
    nodes = rng.normal(size=(300, 3))
    shares = rng.dirichlet(np.ones(3), size=(100, 20))
    at = np.einsum("tps,tsd->tpd", shares, nodes.reshape(100, 3, 3)).reshape(-1, 3)
    at = np.repeat(at, 3, axis=0)
    at[1::3, 0] = np.nextafter(at[1::3, 0], 9)
    at[-1] = np.nan  # is no reason to fail, either
    got, offset = face_offset(
        torch.from_numpy(at), torch.from_numpy(nodes), {"triangle": torch.arange(300).view(-1, 3)}
    )
    assert float(got[:-1].max()) < 1e-14
    assert bool(got[-1].isnan())
    assert bool(offset[-1].isnan().all())


@pytest.mark.parametrize("order", [1, 2])
def test_faces_of_several_types(order):
    pos, cells = mixed_mesh(order)
    faces = boundary_faces(cells).faces
    at = torch.rand(50, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    # Inside the cube, whose face x = 1, and only that, may be within the mesh.
    got = face_distance(at, pos, faces)
    sides = torch.cat([at, 1 - at], dim=1)
    assert bool((got >= sides.amin(1) - 1e-12).all())
    nodes = torch.cat([part.reshape(-1) for part in faces.values()])
    assert float(face_distance(pos[nodes], pos, faces).max()) < 1e-12


def test_lines():
    pos, cells = unit_mesh("quad9")
    at = torch.tensor([[0.25, 0.5], [0.5, 0.9], [2.0, 2.0], [0.5, -3.0]], dtype=torch.float64)
    got = face_distance(at, pos, boundary_faces(cells).faces)
    expected = torch.tensor([0.25, 0.1, 2**0.5, 3.0], dtype=torch.float64)
    torch.testing.assert_close(got, expected)


def test_bad_faces():
    for faces, got in (({}, "none"), ({"tetra": torch.tensor([[0, 1, 2, 3]])}, r"\['tetra'\]")):
        with pytest.raises(ValueError, match=f"expected faces of types .*got {got}"):
            face_distance(torch.eye(3), torch.eye(3), faces)
