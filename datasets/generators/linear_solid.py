"""Linear elasticity by quadratic finite elements."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.linalg import LinAlgError, solveh_banded
from scipy.sparse.csgraph import reverse_cuthill_mckee

if TYPE_CHECKING:
    from skfem import Mesh


class LinearSolid:
    """Linear elastic solid: div sigma = 0, sigma = lambda tr(epsilon) I + 2 mu epsilon.

    Quadratic displacements on cells with straight edges: hexahedra of 20 nodes, tetrahedra of 10,
    and in the plane triangles of 6 in plane stress, where lambda is E nu / (1 - nu^2). Results are
    those at the vertices of the cells.

    Args:
        mesh: Mesh of scikit-fem: ``MeshHex``, ``MeshTet`` or ``MeshTri``.
        young: Young's modulus E.
        poisson: Poisson's ratio nu.
    """

    def __init__(self, mesh: "Mesh", young: float, poisson: float) -> None:
        import skfem

        elements = {
            skfem.MeshHex: (skfem.ElementHexS2(), skfem.ElementHex1()),
            skfem.MeshTet: (skfem.ElementTetP2(), skfem.ElementTetP1()),
            skfem.MeshTri: (skfem.ElementTriP2(), skfem.ElementTriP1()),
        }
        self._element, self._linear = elements[type(mesh)]
        self.basis: Any = skfem.Basis(mesh, self._element, intorder=4)
        self.dim = int(mesh.dim())
        plane = self.dim == 2
        self._mu = young / (2 * (1 + poisson))
        self._lambda = young * poisson / ((1 + poisson) * (1 - (1 if plane else 2) * poisson))
        self._nodes = self.basis.element_dofs.T  # [E, A]

    def surface_force(self, facets: NDArray[np.integer], force: NDArray[np.float64]) -> NDArray:
        """Nodal forces [dofs, d] of a total force [d], uniform over boundary facets."""
        import skfem

        surface = skfem.FacetBasis(self.basis.mesh, self._element, facets=facets, intorder=4)
        shares = skfem.LinearForm(lambda v, _: v).assemble(surface)
        return shares[:, None] / shares.sum() * np.asarray(force)

    def solve(
        self,
        force: NDArray[np.float64],
        fixed: NDArray[np.bool_],
        along: NDArray[np.float64] | None = None,
    ) -> NDArray[np.float64]:
        """Displacement [dofs, d] under nodal forces, by the Cholesky factors of a band matrix.

        Args:
            force: Nodal forces [dofs, d].
            fixed: Where the displacement is zero, [dofs, d].
            along: Position [dofs] along a slender solid, in whose order the band is narrow; by
                default the unknowns are in reverse Cuthill-McKee order.

        Raises:
            RuntimeError: If the supports do not hold the solid.
        """
        free = np.flatnonzero(~fixed.ravel())
        matrix = self._stiffness()[free][:, free]
        order = (
            reverse_cuthill_mckee(matrix, symmetric_mode=True)
            if along is None
            else np.argsort(np.repeat(along, self.dim)[free], kind="stable")
        )
        entries = matrix[order][:, order].tocoo()
        lower = entries.row >= entries.col
        row, column = entries.row[lower], entries.col[lower]
        band = np.zeros(((row - column).max() + 1, len(order)))
        band[row - column, column] = entries.data[lower]
        try:
            solution = solveh_banded(
                band,
                force.ravel()[free[order]],
                overwrite_ab=True,
                lower=True,
                check_finite=False,
            )
        except LinAlgError as error:
            raise RuntimeError(
                f"the stiffness of the solid is singular ({error}); check its supports and mesh"
            ) from error
        result = np.zeros(fixed.size)
        result[free[order]] = solution
        return result.reshape(fixed.shape)

    def at_vertices(self, displacement: NDArray[np.float64]) -> NDArray[np.float64]:
        """Displacement [V, d] at the vertices of the mesh."""
        return displacement[self.basis.nodal_dofs[0]]

    def stress(self, displacement: NDArray[np.float64]) -> NDArray[np.float64]:
        """Stress [V, d, d] at the vertices: the mean over the cells there, by volume.

        In hexahedra it is extrapolated from the eight Gauss points, where it is most accurate; in
        simplices it is linear.
        """
        import skfem
        from skfem.quadrature import get_quadrature

        mesh = self.basis.mesh
        points = np.asarray(self._linear.doflocs).T
        if isinstance(mesh, skfem.MeshHex):
            points = get_quadrature(self._linear, 3)[0]
        corners = np.stack([self._linear.lbasis(points, i)[0] for i in range(mesh.t.shape[0])], 1)
        local: Any = skfem.Basis(mesh, self._element, quadrature=(points, np.ones(points.shape[1])))
        slopes = np.stack([field[0].grad for field in local.basis])  # [A, d, E, P]
        gradient = np.einsum("eai,ajep->epij", displacement[self._nodes], slopes, optimize=True)
        strain = (gradient + np.swapaxes(gradient, -1, -2)) / 2
        trace = np.trace(strain, axis1=-2, axis2=-1)[..., None, None]
        stress = self._lambda * trace * np.eye(self.dim) + 2 * self._mu * strain
        at_corners = np.einsum("cp,epij->ceij", np.linalg.inv(corners), stress)
        volume = np.broadcast_to(self.basis.dx.sum(axis=1), mesh.t.shape)
        total = np.zeros((mesh.p.shape[1], self.dim, self.dim))
        np.add.at(total, mesh.t, volume[..., None, None] * at_corners)
        weight = np.bincount(mesh.t.ravel(), volume.ravel(), minlength=len(total))
        return total / weight[:, None, None]

    def _stiffness(self) -> sparse.csr_array:
        slopes = np.stack([field[0].grad for field in self.basis.basis])  # [A, d, E, Q]
        nodes, dim, cells, points = slopes.shape
        slopes = np.ascontiguousarray(slopes.transpose(2, 3, 0, 1)).reshape(cells, points, -1)
        products = np.swapaxes(slopes * self.basis.dx[..., None], 1, 2) @ slopes
        products = products.reshape(cells, nodes, dim, nodes, dim)
        element = self._lambda * products + self._mu * products.transpose(0, 1, 4, 3, 2)
        trace = self._mu * np.einsum("eakbk->eab", products)
        for i in range(dim):
            element[:, :, i, :, i] += trace
        dofs = (dim * self._nodes[:, :, None] + np.arange(dim)).reshape(cells, -1)
        each = nodes * dim
        places = (np.repeat(dofs, each, axis=1).ravel(), np.tile(dofs, each).ravel())
        size = dim * int(self.basis.N)
        return sparse.coo_array((element.ravel(), places), (size, size)).tocsr()


def von_mises_stress(stress: NDArray[np.float64]) -> NDArray[np.float64]:
    """Von Mises stress [N] of stresses [N, d, d]; in the plane, of plane stress."""
    whole = np.zeros((len(stress), 3, 3))
    whole[:, : stress.shape[1], : stress.shape[2]] = stress
    deviator = whole - np.trace(whole, axis1=1, axis2=2)[:, None, None] / 3 * np.eye(3)
    return np.sqrt(1.5 * np.einsum("nij,nij->n", deviator, deviator))
