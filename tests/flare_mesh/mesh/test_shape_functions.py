from itertools import product
from math import factorial

import numpy as np
import pytest
from vtkmodules.vtkCommonDataModel import vtkGenericCell

from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.shape_functions import quadrature, shape_functions, shape_gradients

VTK_TYPES = {
    **{"line": 3, "triangle": 5, "quad": 9, "tetra": 10, "hexahedron": 12, "wedge": 13},
    **{"pyramid": 14, "line3": 21, "triangle6": 22, "quad8": 23, "tetra10": 24},
    **{"hexahedron20": 25, "wedge15": 26, "quad9": 28, "hexahedron27": 29, "wedge18": 32},
}
KINDS = [kind for kind in CELL_TYPES if kind != "vertex"]


def inside(kind, count=7, seed=0):
    """Random points in the reference cell."""
    corners = np.array(CELL_TYPES[CELL_TYPES[kind].linear].reference, dtype=float)
    share = np.random.default_rng(seed).dirichlet(np.ones(len(corners)), count)
    return share @ corners


@pytest.mark.parametrize("kind", CELL_TYPES)
def test_one_at_their_node_and_zero_at_the_others(kind):
    at_nodes = shape_functions(kind, CELL_TYPES[kind].reference)
    np.testing.assert_allclose(at_nodes, np.eye(CELL_TYPES[kind].num_nodes), atol=1e-13)


@pytest.mark.parametrize("kind", KINDS)
def test_polynomials_of_the_order_are_reproduced(kind):
    cell = CELL_TYPES[kind]
    points, nodes = inside(kind), np.array(cell.reference, dtype=float)
    values, gradients = shape_functions(kind, points), shape_gradients(kind, points)
    powers = [p for p in product(range(3), repeat=cell.dim) if sum(p) <= cell.order]
    for power in map(np.array, powers):  # the first of them is 1: the partition of unity
        field = (nodes**power).prod(1)
        np.testing.assert_allclose(values @ field, (points**power).prod(1), atol=1e-13)
        for axis in range(cell.dim):
            lower = (power - np.eye(cell.dim, dtype=int)[axis]).clip(min=0)
            slope = power[axis] * (points**lower).prod(1)
            np.testing.assert_allclose(gradients[..., axis] @ field, slope, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_by_differences(kind):
    points, step = inside(kind), 1e-6
    gradients = shape_gradients(kind, points)
    for axis in range(points.shape[1]):
        move = step * np.eye(points.shape[1])[axis]
        slope = shape_functions(kind, points + move) - shape_functions(kind, points - move)
        np.testing.assert_allclose(gradients[..., axis], slope / (2 * step), atol=2e-8)


@pytest.mark.parametrize("kind", ["pyramid", "pyramid13", "pyramid14"])
def test_gradients_at_the_apex_are_the_limit_above_the_middle(kind):
    below = np.array([[0.5e-7, 0.5e-7, 1 - 1e-7]])
    tip = shape_gradients(kind, [[0, 0, 1]])
    assert np.isfinite(tip).all()
    np.testing.assert_allclose(tip, shape_gradients(kind, below), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_a_face_has_its_own_shape_functions(kind):
    """What makes a mixed mesh conform: neighbours agree on the face that they share."""
    cell = CELL_TYPES[kind]
    reference = np.array(cell.reference, dtype=float)
    for face_kind, nodes in cell.faces:
        face = CELL_TYPES[face_kind]
        at = inside(face_kind) if face.dim else np.zeros((1, 0))
        on_face = shape_functions(face_kind, at)
        expected = np.zeros((len(at), cell.num_nodes))
        expected[:, list(nodes)] = on_face
        points = on_face @ reference[list(nodes)]
        np.testing.assert_allclose(shape_functions(kind, points), expected, atol=1e-12)


@pytest.mark.parametrize("kind", VTK_TYPES)
def test_as_in_vtk(kind):
    # VTK's pyramids of second order are others.
    cell, count = vtkGenericCell(), CELL_TYPES[kind].num_nodes
    cell.SetCellType(VTK_TYPES[kind])
    for point, ours in zip(inside(kind), shape_functions(kind, inside(kind)), strict=True):
        if kind == "pyramid":
            point = np.array([*point[:2] / (1 - point[2]), point[2]])
        theirs = [0.0] * count
        cell.InterpolateFunctions([*point, 0.0, 0.0][:3], theirs)
        np.testing.assert_allclose(ours, theirs, atol=1e-12)


def integral(kind, power):
    """Integral of a monomial over the reference cell, in closed form."""
    i, j, k = (*power, 0, 0)[:3]
    if kind == "tetra":
        return factorial(i) * factorial(j) * factorial(k) / factorial(i + j + k + 3)
    if kind == "pyramid":
        beta = factorial(i + j + 2) * factorial(k) / factorial(i + j + k + 3)
        return beta / ((i + 1) * (j + 1))
    if kind in ("triangle", "wedge"):
        return factorial(i) * factorial(j) / factorial(i + j + 2) / (k + 1)
    return 1 / ((i + 1) * (j + 1) * (k + 1))


@pytest.mark.parametrize("degree", [0, 1, 3, 4, 7])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if CELL_TYPES[kind].order == 1])
def test_quadrature_of_monomials(kind, degree):
    points, weights = quadrature(kind, degree)
    dim = CELL_TYPES[kind].dim
    assert (weights > 0).all()
    for power in product(range(degree + 1), repeat=dim):
        # In a product cell each coordinate has this degree.
        together = {"triangle": 2, "wedge": 2, "tetra": 3, "pyramid": 3}.get(kind, 1)
        if sum(power[:together]) <= degree:
            value = weights @ (points ** np.array(power)).prod(1)
            assert value == pytest.approx(integral(kind, power), rel=1e-13)


def test_quadrature_of_a_degree_more_is_not_exact():
    points, weights = quadrature("tetra", 3)
    assert weights @ points[:, 0] ** 4 != pytest.approx(integral("tetra", (4, 0, 0)), rel=1e-3)


@pytest.mark.parametrize("kind", ["pyramid", "pyramid13", "pyramid14"])
def test_mass_matrix_of_rational_functions_is_exact(kind):
    def mass(degree):
        points, weights = quadrature(kind, degree)
        values = shape_functions(kind, points)
        return (values * weights[:, None]).T @ values

    np.testing.assert_allclose(mass(2 * CELL_TYPES[kind].order), mass(15), atol=1e-16)


@pytest.mark.parametrize("kind", CELL_TYPES)
def test_degree_one_is_the_centroid(kind):
    points, weights = quadrature(kind, 1)
    many, shares = quadrature(kind, 5)
    assert len(points) == 1
    np.testing.assert_allclose(points[0], shares @ many / shares.sum(), rtol=1e-13)
    assert weights.sum() == pytest.approx(shares.sum())


def test_errors():
    with pytest.raises(ValueError, match=r"shape \[P, 2\] in a 'quad' \(got \[1, 3\]\)"):
        shape_functions("quad", [[0, 0, 0]])
    with pytest.raises(ValueError, match=r"expected a cell type of vertex.* \(got 'hex'\)"):
        shape_gradients("hex", [[0, 0, 0]])
    with pytest.raises(ValueError, match=r"at least 0 \(got -1\)"):
        quadrature("line", -1)
