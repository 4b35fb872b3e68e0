import numpy as np
import pytest
from skfem import (
    Basis,
    ElementQuad2,
    ElementVector,
    LinearForm,
    MeshQuad,
    MeshQuad2,
    condense,
    solve,
)
from skfem.models.elasticity import linear_elasticity

from flare_mesh.datasets.generators.plane_solid import PlaneSolid
from flare_mesh.datasets.generators.rivlin_saunders import RivlinSaunders

RUBBER = RivlinSaunders(2.0, 0.7)


def distorted(rows):
    """A unit square of elements with curved sides, its border straight."""
    line = np.linspace(0, 1, rows + 1)
    mesh = MeshQuad2.from_mesh(MeshQuad.init_tensor(line, line))
    x, y = mesh.doflocs
    bump = 0.05 * np.sin(np.pi * x) * np.sin(np.pi * y)
    return MeshQuad2(np.stack([x + bump * (1 + x), y - bump]), mesh.t)


def border(solid):
    return solid.basis.get_dofs().all()


def test_patch():
    solid = PlaneSolid(distorted(3), RUBBER)
    gradient = np.array([[0.2, 0.3], [-0.1, 0.25]])
    exact = (gradient @ solid.basis.doflocs).T
    start = exact + 0.02 * np.random.default_rng(1).standard_normal(exact.shape)
    start[border(solid)] = exact[border(solid)]
    found = solid.solve(np.zeros_like(exact), border(solid), start)
    np.testing.assert_allclose(found, exact, atol=1e-9)

    cells, local = np.arange(9), np.random.default_rng(0).uniform(size=(9, 2))
    stress = solid.von_mises(found, cells, local)
    deformation = np.eye(2) + gradient
    full = deformation.T @ deformation
    second = RUBBER.stress(np.array([full[0, 0], full[1, 1], full[0, 1]]))
    cauchy = deformation @ second[[0, 2, 2, 1]].reshape(2, 2) @ deformation.T
    principal = np.linalg.eigvalsh(cauchy)
    expected = np.sqrt(principal[0] ** 2 - principal.prod() + principal[1] ** 2)
    np.testing.assert_allclose(stress, expected, rtol=1e-8)


def test_a_rotation_is_free_of_forces():
    solid = PlaneSolid(distorted(2), RUBBER)
    rotation = np.array([[0.6, -0.8], [0.8, 0.6]])
    points = solid.basis.doflocs
    np.testing.assert_allclose(solid.internal_force((rotation @ points - points).T), 0, atol=1e-13)


def test_small_loads_against_linear_elasticity():
    mesh = distorted(4)
    solid = PlaneSolid(mesh, RUBBER)
    top = mesh.facets_satisfying(lambda x: np.isclose(x[1], 1), boundaries_only=True)
    load = solid.edge_force(top, (1e-5, 2e-5))
    np.testing.assert_allclose(load.sum(axis=0), (1e-5, 2e-5))
    below = np.flatnonzero(np.isclose(solid.basis.doflocs[1], 0))
    found = solid.solve(load, below)

    # Plane stress with a Poisson's ratio of one half.
    shear = 2 * (2.0 + 0.7)
    basis = Basis(mesh, ElementVector(ElementQuad2()))
    matrix = linear_elasticity(2 * shear, shear).assemble(basis)
    fixed = basis.get_dofs(lambda x: np.isclose(x[1], 0))
    right = np.zeros(basis.N)
    for axis in range(2):
        right[axis::2] = load[:, axis]
    expected = solve(*condense(matrix, right, D=fixed)).reshape(-1, 2)
    np.testing.assert_allclose(found, expected, atol=3e-5 * np.abs(expected).max())


def displacement(x, y):
    return np.stack([0.1 * np.sin(np.pi * x) * y**2, 0.06 * x * np.cos(np.pi * y) * np.exp(y)])


def deformation(x, y):
    ux = 0.1 * np.pi * np.cos(np.pi * x) * y**2
    uy = 0.2 * np.sin(np.pi * x) * y
    vx = 0.06 * np.cos(np.pi * y) * np.exp(y)
    vy = 0.06 * x * np.exp(y) * (np.cos(np.pi * y) - np.pi * np.sin(np.pi * y))
    return np.array([[1 + ux, uy], [vx, 1 + vy]])


def first_piola(x, y):
    f = deformation(x, y)
    c = np.einsum("ki...,kj...->ij...", f, f)
    s11, s22, s12 = np.moveaxis(RUBBER.stress(np.stack([c[0, 0], c[1, 1], c[0, 1]], -1)), -1, 0)
    return np.einsum("ik...,kj...->ij...", f, np.array([[s11, s12], [s12, s22]]))


def test_orders_with_a_manufactured_solution():
    """The load is that of a given large deformation, by scikit-fem."""
    errors = []
    for rows in (3, 6, 12):
        mesh = distorted(rows)
        solid = PlaneSolid(mesh, RUBBER)
        fine = Basis(mesh, ElementQuad2(), intorder=9)
        load = np.stack(
            [
                LinearForm(
                    lambda v, w, i=i: np.einsum("j...,j...", first_piola(*w.x)[i], v.grad)
                ).assemble(fine)
                for i in range(2)
            ],
            axis=-1,
        )
        start = displacement(*solid.basis.doflocs).T.copy()
        found = solid.solve(load, border(solid), start)
        difference = [
            fine.interpolate(found[:, i]) - displacement(*fine.global_coordinates())[i]
            for i in range(2)
        ]
        slopes = np.stack([fine.interpolate(found[:, i]).grad for i in range(2)])
        slopes = slopes + np.eye(2)[:, :, None, None] - deformation(*fine.global_coordinates())
        errors.append(
            [np.sqrt((np.square(e).sum(axis=0) * fine.dx).sum()) for e in (difference, slopes[0])]
        )
    values, gradients = np.log2(np.array(errors[:-1]) / errors[1:]).T
    assert values[-1] == pytest.approx(3, abs=0.2)
    assert gradients[-1] == pytest.approx(2, abs=0.2)


def test_newton_converges_fast_and_says_if_not():
    mesh = distorted(2)
    solid = PlaneSolid(mesh, RUBBER)
    top = mesh.facets_satisfying(lambda x: np.isclose(x[1], 1), boundaries_only=True)
    below = np.flatnonzero(np.isclose(solid.basis.doflocs[1], 0))
    solid.solve(solid.edge_force(top, (0.0, 1.0)), below, max_iterations=7)
    with pytest.raises(RuntimeError, match="did not reach equilibrium within 25 iterations; the"):
        solid.solve(solid.edge_force(top, (0.0, -100.0)), below)
