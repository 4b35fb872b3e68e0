"""Shape functions of the cell types, their gradients, and Gauss quadrature."""

from functools import cache
from itertools import product

import numpy as np
from numpy.typing import ArrayLike, NDArray

from flare_mesh.mesh.cells import CELL_TYPES, CellType


def shape_functions(kind: str, points: ArrayLike) -> NDArray[np.float64]:
    """Lagrange shape functions, which are 1 at their own node and 0 at the others.

    Second-order cells without nodes on the faces have serendipity functions. Pyramids have the
    rational functions of Bedrosian (1992, 5 and 13 nodes) and of Bergot, Cohen and Durufle (2010,
    14 nodes), which agree with the polynomials of the neighbouring cell on every face.

    Args:
        kind: meshio's name of the cell type.
        points: Coordinates in the reference cell, [P, dim].

    Shapes:
        returns: [P, nodes].

    Raises:
        ValueError: If the type is unknown or the points have another dimension.
    """
    points = _checked(kind, points)
    return _monomials(kind, points)[0] @ _coefficients(kind)


def shape_gradients(kind: str, points: ArrayLike) -> NDArray[np.float64]:
    """Gradients of :func:`shape_functions` with respect to the reference coordinates.

    At the apex of a pyramid they depend on the direction; the values there are the limit along the
    line from the middle of the base. Arguments and errors are the same as there.

    Shapes:
        returns: [P, nodes, dim].
    """
    points = _checked(kind, points)
    return np.einsum("pmd,mn->pnd", _monomials(kind, points)[1], _coefficients(kind))


def quadrature(kind: str, degree: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and weights of Gauss quadrature in the reference cell.

    Exact for polynomials of this total degree in simplices, and of this degree in each coordinate
    in product cells. Triangles, tetrahedra and pyramids are collapsed squares and cubes (conical
    product, Stroud 1971), which also integrates the rational functions of pyramids exactly. All
    weights are positive; degree 1 has one point, the centroid.

    Args:
        kind: meshio's name of the cell type.
        degree: Degree of exactness, at least 0.

    Shapes:
        returns: [Q, dim] and [Q]; the weights add up to the measure of the reference cell.

    Raises:
        ValueError: If the type is unknown or the degree negative.
    """
    if degree < 0:
        raise ValueError(f"expected a degree of at least 0 (got {degree})")
    points, weights = _rule(_cell(kind).linear, degree // 2 + 1)
    return points.copy(), weights.copy()


# Power of (1 - coordinate) in the Jacobian of the collapsed cube, by coordinate.
_COLLAPSED = {
    **{"line": (0,), "triangle": (0, 1), "quad": (0, 0)},
    **{"tetra": (0, 1, 2), "pyramid": (0, 0, 2), "wedge": (0, 1, 0), "hexahedron": (0, 0, 0)},
}


def _gauss(count: int, power: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gauss-Jacobi rule on [0, 1] with the weight (1 - x)^power, exact to degree 2 count - 1."""
    from scipy.special import roots_jacobi

    nodes, weights = roots_jacobi(count, power, 0)
    return (nodes + 1) / 2, weights / 2 ** (power + 1)


@cache
def _rule(linear: str, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and weights in a reference cell, with ``count`` points in each direction."""
    if linear == "vertex":
        return np.zeros((1, 0)), np.ones(1)
    rules = [_gauss(count, power) for power in _COLLAPSED[linear]]
    points = np.array(list(product(*(nodes for nodes, _ in rules))))
    weights = np.array(list(product(*(weights for _, weights in rules)))).prod(axis=1)
    if linear in ("triangle", "wedge", "tetra"):
        points[:, 0] *= 1 - points[:, 1]
    if linear in ("tetra", "pyramid"):
        points[:, :2] *= 1 - points[:, 2:]
    return points, weights


def _cell(kind: str) -> CellType:
    if kind not in CELL_TYPES:
        raise ValueError(f"expected a cell type of {', '.join(CELL_TYPES)} (got '{kind}')")
    return CELL_TYPES[kind]


def _checked(kind: str, points: ArrayLike) -> NDArray[np.float64]:
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or points.shape[1] != _cell(kind).dim:
        raise ValueError(
            f"expected points of shape [P, {CELL_TYPES[kind].dim}] in a '{kind}' "
            f"(got {list(points.shape)})"
        )
    return points


@cache
def _powers(kind: str) -> NDArray[np.int64]:
    """Exponents of the monomials that span the shape functions, [nodes, dim].

    For pyramids these are the exponents of x / (1 - z), y / (1 - z) and 1 - z.
    """
    cell = _cell(kind)
    powers = np.array(list(product(range(cell.order + 1), repeat=cell.dim)), dtype=np.int64)
    if cell.linear in ("triangle", "tetra"):
        keep = powers.sum(1) <= cell.order
    elif cell.linear == "wedge":
        keep = powers[:, :2].sum(1) <= cell.order
    elif cell.linear == "pyramid":
        keep = powers[:, :2].max(1) <= powers[:, 2]
    else:
        keep = np.ones(len(powers), dtype=bool)
    if kind in ("quad8", "hexahedron20"):
        keep &= (powers == 2).sum(1) <= 1
    elif kind == "wedge15":
        keep &= (powers[:, 2] < 2) | (powers[:, :2].sum(1) < 2)
    elif kind == "pyramid13":
        keep &= powers.sum(1) < 6
    return powers[keep]


def _monomials(
    kind: str, points: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Monomials [P, nodes] at the points and their gradients [P, nodes, dim]."""
    powers = _powers(kind)
    pyramid = CELL_TYPES[kind].linear == "pyramid"
    if pyramid:
        width = 1 - points[:, 2:]
        across = np.full_like(points[:, :2], 0.5)
        np.divide(points[:, :2], width, out=across, where=width != 0)
        points = np.concatenate([across, width], axis=1)
    values = (points[:, None] ** powers).prod(axis=-1)
    gradients = np.empty((*values.shape, points.shape[1]))
    for axis in range(points.shape[1]):
        factor, lower = powers[:, axis].copy(), powers.copy()
        lower[:, axis] -= 1
        if pyramid and axis == 2:
            factor = powers[:, 0] + powers[:, 1] - powers[:, 2]
        elif pyramid:
            lower[:, 2] -= 1
        gradients[..., axis] = factor * (points[:, None] ** lower.clip(min=0)).prod(axis=-1)
    return values, gradients


@cache
def _coefficients(kind: str) -> NDArray[np.float64]:
    """Coefficients of the monomials in the shape functions, [nodes, nodes]."""
    at_nodes, _ = _monomials(kind, np.array(_cell(kind).reference, dtype=np.float64))
    return np.linalg.inv(at_nodes).astype(np.float64)
