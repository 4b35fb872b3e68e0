import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.datasets.generators.unit_cell import TRACTION, UnitCell

ROUND = UnitCell(np.zeros(10))


def random_cell(seed):
    return UnitCell(np.random.default_rng(seed).standard_normal(10))


def test_the_void_against_its_formula():
    theta = np.zeros(10)
    theta[5] = 1.3  # sine of three times the angle
    angle = np.linspace(0, 2 * np.pi, 42)
    wave = 1.3 * 4 / np.sqrt(3**2 + 3**2) * np.sin(3 * angle) / np.sqrt(np.pi)
    radius = UnitCell(theta).radius(angle)
    np.testing.assert_allclose(radius, 0.2 + 0.2 / (1 + np.exp(wave)), rtol=1e-14)
    assert radius[0] == pytest.approx(radius[-1], rel=1e-14)
    np.testing.assert_allclose(ROUND.radius(angle), 0.3)


def test_the_field_has_the_covariance_of_its_operator():
    """4^2 (-Laplace + 9)^-1, up to five waves around."""
    angle = np.array([0.0, 0.7, 2.0])
    radii = np.stack([random_cell(seed).radius(angle) for seed in range(4000)])
    field = np.log(0.2 / (radii - 0.2) - 1)
    waves = np.arange(1, 6)
    expected = (
        16
        / np.pi
        * (np.cos(waves * (angle[:, None, None] - angle[:, None])) / (waves**2 + 9)).sum(-1)
    )
    np.testing.assert_allclose(field.T @ field / 4000, expected, atol=0.08 * expected[0, 0])


@given(st.integers(0, 1000), st.integers(1, 2))
@settings(max_examples=20, deadline=None)
def test_mesh(seed, refine):
    cell = random_cell(seed)
    mesh = cell.mesh(refine)
    assert mesh.t.shape[1] == 108 * refine**2
    basis_area, determinants = area_and_determinants(mesh)
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    assert basis_area == pytest.approx(1 - np.pi * np.mean(cell.radius(angle) ** 2), abs=2e-3)
    assert (determinants > 0).all()
    x, y = mesh.doflocs[:, mesh.boundary_nodes()]
    on_square = np.isclose(np.maximum(abs(x - 0.5), abs(y - 0.5)), 0.5)
    distance = np.hypot(x - 0.5, y - 0.5)
    on_void = np.isclose(distance, cell.radius(np.arctan2(y - 0.5, x - 0.5)))
    assert (on_square ^ on_void).all()
    assert on_square.sum() == on_void.sum() == 36 * refine


def area_and_determinants(mesh):
    from skfem import Basis, ElementQuad2

    basis = Basis(mesh, ElementQuad2(), intorder=5)
    return basis.dx.sum(), basis.mapping.detDF(basis.X)


def test_points_are_the_gauss_points_of_the_mesh():
    from skfem import Basis, ElementQuad2

    cell = random_cell(3)
    points = cell.points()
    assert points.shape == (972, 2)
    gauss = np.asarray(Basis(cell.mesh(), ElementQuad2(), intorder=5).global_coordinates())
    expected = np.sort(gauss.reshape(2, 108, 9), axis=-1)
    found = np.sort(points.T.reshape(2, 108, 9), axis=-1)
    # They lie on the rays themselves, the mesh's on its quadratic interpolation.
    np.testing.assert_allclose(found, expected, atol=2e-3)
    np.testing.assert_allclose(ROUND.points().mean(axis=0), 0.5, atol=1e-12)


def test_equilibrium():
    cell = random_cell(1)
    solid, displacement = cell.solve()
    forces = solid.internal_force(displacement)
    x, y = solid.basis.doflocs
    below, above = np.isclose(y, 0), np.isclose(y, 1)
    np.testing.assert_allclose(forces[~(below | above)], 0, atol=1e-6)
    np.testing.assert_allclose(forces[above].sum(axis=0), TRACTION, atol=1e-6)
    np.testing.assert_allclose(forces[below].sum(axis=0), -np.array(TRACTION), atol=1e-6)
    place = np.stack([x, y], axis=-1) + displacement
    moment = place[:, 0] * forces[:, 1] - place[:, 1] * forces[:, 0]
    assert abs(moment.sum()) < 1e-6
    assert (displacement[below] == 0).all()
    assert displacement[above, 1].mean() > 0


def test_stress_converges():
    cell = random_cell(2)
    coarse, middle, fine = (cell.stress(refine) for refine in (1, 2, 5))
    errors = [np.linalg.norm(s - fine) / np.linalg.norm(fine) for s in (coarse, middle)]
    assert errors[0] < 0.05
    assert errors[1] < 0.5 * errors[0]


def test_reflected_voids():
    cell = random_cell(4)
    # The angle phi becomes pi - phi.
    signs = np.array([s for k in range(1, 6) for s in ((-1) ** k, (-1) ** (k + 1))])
    reflected = UnitCell(signs * cell.theta)
    distances = np.linalg.norm(
        (reflected.points() * [-1, 1] + [1, 0])[:, None] - cell.points(), axis=-1
    )
    partner = distances.argmin(axis=1)
    assert distances.min(axis=1).max() < 1e-12
    np.testing.assert_allclose(reflected.stress(), cell.stress()[partner], rtol=1e-8)


def test_thin_ligaments_carry_the_load():
    """Across the middle of a round void, the stress sums up to the traction."""
    points, stress = ROUND.points(), ROUND.stress(3)
    assert stress[np.abs(points[:, 1] - 0.5) < 0.02].mean() > 100 / 0.4
    np.testing.assert_allclose(points[stress.argmax(), 1], 0.5, atol=0.1)


def test_number_of_coefficients():
    with pytest.raises(ValueError, match=r"expected 10 coefficients \(got \(9,\)\)"):
        UnitCell(np.zeros(9))
