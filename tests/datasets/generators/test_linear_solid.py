import numpy as np
import pytest
from skfem import MeshHex, MeshTet, MeshTri

from flare_mesh.datasets.generators.linear_solid import LinearSolid, von_mises_stress

BOX = (np.linspace(0, 20, 9), np.linspace(0, 1, 2), np.linspace(0, 2, 2))


def box(kind):
    return MeshHex.init_tensor(*BOX) if kind is MeshHex else MeshHex.init_tensor(*BOX).to_meshtet()


@pytest.mark.parametrize("kind", [MeshHex, MeshTet])
def test_a_cantilever_bends_as_a_timoshenko_beam(kind):
    """Without Poisson's ratio, so that the clamped end is that of the beam."""
    mesh = box(kind)
    solid = LinearSolid(mesh, 1000.0, 0.0)
    x, _, _ = solid.basis.doflocs
    end = mesh.facets_satisfying(lambda p: np.isclose(p[0], 20), boundaries_only=True)
    force = solid.surface_force(end, np.array([0.0, -0.3, 0.0]))
    np.testing.assert_allclose(force.sum(axis=0), (0, -0.3, 0), atol=1e-14)
    fixed = np.repeat(np.isclose(x, 0)[:, None], 3, axis=1)
    found = solid.solve(force, fixed, x)
    np.testing.assert_allclose(found, solid.solve(force, fixed), atol=1e-9)
    moment, area, shear = 2 / 12, 2.0, 500.0
    tip = 0.3 * 20**3 / (3 * 1000 * moment) + 1.2 * 0.3 * 20 / (shear * area)
    points = mesh.p
    moved = solid.at_vertices(found)[np.isclose(points[0], 20), 1].mean()
    assert moved == pytest.approx(-tip, rel=3e-3)
    top = np.isclose(points[0], 10) & np.isclose(points[1], 1)
    bending = solid.stress(found)[top, 0, 0].mean()  # M z / I
    assert bending == pytest.approx(0.3 * 10 * 0.5 / moment, rel=4e-2)


def test_patch_in_plane_stress():
    """A linear displacement on a distorted mesh is found, with the stress of Hooke's law."""
    line = np.linspace(0, 1, 4)
    mesh = MeshTri.init_tensor(line, line)
    inside = np.setdiff1d(np.arange(mesh.nvertices), mesh.boundary_nodes())
    points = mesh.p.copy()
    points[:, inside] += np.random.default_rng(0).uniform(-0.08, 0.08, (2, len(inside)))
    mesh = MeshTri(points, mesh.t)
    solid = LinearSolid(mesh, 70.0, 0.3)
    right = mesh.facets_satisfying(lambda p: np.isclose(p[0], 1), boundaries_only=True)
    x, y = solid.basis.doflocs
    fixed = np.stack([np.isclose(x, 0), np.isclose(y, 0)], axis=1)
    found = solid.solve(solid.surface_force(right, np.array([7.0, 0.0])), fixed)
    exact = np.stack([0.1 * x, -0.03 * y], axis=1)
    np.testing.assert_allclose(found, exact, atol=1e-13)
    stress = solid.stress(found)
    np.testing.assert_allclose(
        stress, np.broadcast_to([[7.0, 0], [0, 0]], stress.shape), atol=1e-12
    )
    np.testing.assert_allclose(von_mises_stress(stress), 7.0)


def test_von_mises_of_shear_and_pressure():
    shear = np.array([[[5.0, 2, 0], [2, 5, 0], [0, 0, 5]]])
    assert von_mises_stress(shear) == pytest.approx(2 * np.sqrt(3))
    plane = np.array([[[3.0, 0], [0, -4]]])
    assert von_mises_stress(plane) == pytest.approx(np.sqrt(9 + 12 + 16))


def test_a_solid_without_supports_is_refused():
    solid = LinearSolid(box(MeshHex), 1.0, 0.3)
    free = np.zeros((solid.basis.N, 3), dtype=bool)
    with pytest.raises(RuntimeError, match="stiffness of the solid is singular"):
        solid.solve(np.ones(free.shape), free)
