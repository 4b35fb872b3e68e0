"""Large deformations of a plane solid, by quadratic finite elements."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

from flare_mesh.datasets.generators.rivlin_saunders import SYMMETRIC, RivlinSaunders, von_mises

if TYPE_CHECKING:
    from skfem import MeshQuad2
    from skfem.element import DiscreteField


class PlaneSolid:
    """Plane solid of nine-node quadrilaterals under dead loads, in total Lagrangian form.

    Nodes are numbered as the degrees of freedom of scikit-fem's ``ElementQuad2``; integrals use
    3 x 3 Gauss points.

    Args:
        mesh: Mesh of the undeformed solid.
        material: Material law.

    Attributes:
        basis: scikit-fem's basis of one displacement component.
    """

    def __init__(self, mesh: "MeshQuad2", material: RivlinSaunders | None = None) -> None:
        from skfem import Basis, ElementQuad2

        self.material = material or RivlinSaunders()
        self.basis = Basis(mesh, ElementQuad2(), intorder=5)
        gradients = np.stack([_gradient(field) for field in self.basis.basis])  # [9, 2, E, 9]
        self._gradients = np.ascontiguousarray(gradients.transpose(2, 3, 0, 1))
        self._weights = self.basis.dx  # [E, 9]
        nodes = self.basis.element_dofs.T  # [E, 9]
        self._nodes = nodes
        dofs = (2 * nodes[:, :, None] + np.arange(2)).reshape(len(nodes), 18)
        self._rows = np.repeat(dofs, 18, axis=1).ravel()
        self._columns = np.tile(dofs, 18).ravel()
        self._dofs = dofs.ravel()

    @property
    def num_nodes(self) -> int:
        return int(self.basis.N)

    def edge_force(self, facets: NDArray[np.integer], traction: tuple[float, float]) -> NDArray:
        """Nodal forces [N, 2] of a uniform traction per undeformed length on boundary facets."""
        from skfem import ElementQuad2, FacetBasis, LinearForm

        edge = FacetBasis(self.basis.mesh, ElementQuad2(), facets=facets, intorder=4)
        shares = LinearForm(lambda v, _: v).assemble(edge)
        return shares[:, None] * np.asarray(traction)

    def internal_force(self, displacement: NDArray[np.float64]) -> NDArray[np.float64]:
        """Internal nodal forces [N, 2] at a displacement [N, 2]."""
        deformation = self._deformation(displacement)
        stress = self.material.stress(_right_cauchy(deformation))
        return self._assemble_force(deformation, stress)

    def solve(
        self,
        load: NDArray[np.float64],
        fixed: NDArray[np.integer],
        displacement: NDArray[np.float64] | None = None,
        *,
        rtol: float = 1e-9,
        max_iterations: int = 25,
    ) -> NDArray[np.float64]:
        """Displacement under nodal forces, by Newton's method.

        Args:
            load: Nodal forces.
            fixed: Nodes whose initial displacement is prescribed.
            displacement: Initial displacement; zero by default.
            rtol: Residual at which the iteration stops, relative to the nodal forces.
            max_iterations: Limit of iterations.

        Shapes:
            load, displacement and the result [N, 2].

        Raises:
            RuntimeError: If it does not converge.
        """
        result = np.zeros((self.num_nodes, 2)) if displacement is None else displacement.copy()
        free = np.ones((self.num_nodes, 2), dtype=bool)
        free[fixed] = False
        free = np.flatnonzero(free.ravel())
        for _ in range(max_iterations):
            deformation = self._deformation(result)
            if not (np.linalg.det(deformation) > 0).all():
                break  # inverted elements
            right_cauchy = _right_cauchy(deformation)
            stress = self.material.stress(right_cauchy)
            internal = self._assemble_force(deformation, stress)
            residual = (load - internal).ravel()[free]
            scale = max(np.linalg.norm(load), np.linalg.norm(internal))
            if np.linalg.norm(residual) <= rtol * scale:
                return result
            matrix = self._stiffness(deformation, stress, self.material.tangent(right_cauchy))
            matrix = matrix[free][:, free].tocsc()
            # The matrix is symmetric: symmetric ordering and pivots.
            factors = splu(
                matrix,
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0.0,
                options={"SymmetricMode": True},
            )
            result.ravel()[free] += factors.solve(residual)
        raise RuntimeError(
            f"the plane solid did not reach equilibrium within {max_iterations} iterations; "
            f"the load may be too large to be applied at once"
        )

    def von_mises(
        self,
        displacement: NDArray[np.float64],
        cells: NDArray[np.integer],
        local: NDArray[np.float64],
    ) -> NDArray[np.float64]:
        """Von Mises stress [P] at the local coordinates [P, 2] in [0, 1]^2 of ``cells`` [P]."""
        points = local.T[:, :, None]
        gradients = np.stack(
            [
                _gradient(self.basis.elem.gbasis(self.basis.mapping, points, j, tind=cells))
                for j in range(9)
            ]
        )[..., 0]  # [9, 2, P]
        moved = displacement[self._nodes[cells]]  # [P, 9, 2]
        deformation = np.eye(2) + np.einsum("pai,ajp->pij", moved, gradients)
        return von_mises(deformation, self.material.stress(_right_cauchy(deformation)))

    def _deformation(self, displacement: NDArray[np.float64]) -> NDArray[np.float64]:
        """Deformation gradient F [E, 9, 2, 2] at the Gauss points."""
        moved = np.swapaxes(displacement[self._nodes], 1, 2)[:, None]  # [E, 1, 2, 9]
        return np.eye(2) + moved @ self._gradients

    def _weighted(self, stress: NDArray[np.float64]) -> NDArray[np.float64]:
        """Second Piola-Kirchhoff stress times the quadrature weights, [E, 9, 2, 2]."""
        return (self._weights[..., None] * stress)[..., SYMMETRIC]

    def _assemble_force(self, deformation, stress) -> NDArray[np.float64]:
        first_piola = deformation @ self._weighted(stress)
        forces = np.einsum("eqaj,eqij->eai", self._gradients, first_piola, optimize=True)
        flat = np.bincount(self._dofs, forces.ravel(), minlength=2 * self.num_nodes)
        return np.asarray(flat, dtype=np.float64).reshape(-1, 2)

    def _stiffness(self, deformation, stress, tangent) -> sparse.csr_array:
        cells, points = self._weights.shape
        gx, gy = self._gradients[..., 0, None], self._gradients[..., 1, None]  # [E, 9, 9, 1]
        fx, fy = deformation[..., None, :, 0], deformation[..., None, :, 1]  # [E, 9, 1, 2]
        # Strain-displacement matrix of E11, E22, 2 E12.
        strain = np.stack([gx * fx, gy * fy, gx * fy + gy * fx], axis=2)
        strain = strain.reshape(cells, points, 3, 18)
        stresses = (self._weights[..., None, None] * tangent) @ strain
        element = np.swapaxes(strain.reshape(cells, -1, 18), 1, 2) @ stresses.reshape(cells, -1, 18)
        pulled = self._gradients @ self._weighted(stress)
        geometric = np.einsum("eqaj,eqbj->eab", self._gradients, pulled, optimize=True)
        for i in range(2):
            element[:, i::2, i::2] += geometric
        shape = (2 * self.num_nodes, 2 * self.num_nodes)
        return sparse.coo_array((element.ravel(), (self._rows, self._columns)), shape).tocsr()


def _gradient(fields: tuple["DiscreteField", ...]) -> NDArray[np.float64]:
    gradient = fields[0].grad
    assert gradient is not None
    return gradient


def _right_cauchy(deformation: NDArray[np.float64]) -> NDArray[np.float64]:
    """Right Cauchy-Green tensor C = F^T F as C11, C22, C12."""
    first, second = deformation[..., 0], deformation[..., 1]
    products = ((first, first), (second, second), (first, second))
    return np.stack([np.einsum("...i,...i->...", a, b) for a, b in products], axis=-1)
