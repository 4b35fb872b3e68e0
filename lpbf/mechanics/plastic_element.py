"""Elastoplastic bricks in batches: their stress, incompatible modes and tangents."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lpbf.core.element import Brick
from lpbf.core.errors import SolverError
from lpbf.mechanics.isotropic_mapping import IsotropicMapping
from lpbf.mechanics.plastic_hardening import Hardening
from lpbf.mechanics.return_mapping import ReturnedState, deviatoric_projection, return_mapping

# Tolerance of the forces on the incompatible modes, relative to the forces of the yield stress.
_TOLERANCE = 1e-10
_MAX_ITERATIONS = 100
# A step is too long if the slope of the energy at its end exceeds this share of that at its start.
_SLOPE = 0.5
# Smallest damping after such a step. The next too long step makes it 100 times as large, any other
# step a tenth.
_DAMPING = 1e-6
# Share of the elastic stiffness of the modes that is added to their tangent, which can be singular
# without hardening, as in uniform shear.
_REGULARISATION = 1e-8
# Bricks per batch of tangents, whose [33, 33] matrices stay in the cache.
_BATCH = 128


@dataclass(frozen=True)
class YieldedCells:
    """Bricks in which at least one Gauss point yields.

    Attributes:
        cells: Numbers of the bricks, [n].
        returned: State of their Gauss points, [6, 8, n].
        modes: Amplitudes of the incompatible modes beyond the elastic ones, [m, n].
        element: Their matrices.
    """

    cells: Tensor
    returned: ReturnedState
    modes: Tensor
    element: "PlasticElement"


class PlasticElement:
    """Matrices of a brick for batches of cells, which are the last axis: stresses are [6, 8, n].

    The strain at a Gauss point is B u + G alpha. With the elastic amplitudes alpha = -S u of the
    incompatible modes, S = K_aa^-1 K_au, the stress after a step is

        sigma = sigma_0 + D ((B - G S) du - de + G beta) - 2 G_shear d(plastic strain)

    and beta is zero in a brick without yielding. With a ``mapping``, strains are those of an
    isotropic material that stands for an anisotropic one, and so are the stresses.

    Args:
        brick: The element.
        device: Device of the tensors.
        mapping: Isotropic material of an anisotropic brick; None for an isotropic one.
    """

    def __init__(
        self,
        brick: Brick,
        device: str | torch.device = "cpu",
        mapping: IsotropicMapping | None = None,
    ):
        strain = torch.from_numpy(brick.gauss_strain)  # [8, 6, k]
        elasticity = torch.from_numpy(brick.elasticity)
        eigenstrain = -elasticity
        if mapping is not None:
            strain = torch.from_numpy(mapping.strain) @ strain
            elasticity = torch.from_numpy(mapping.elasticity)
            eigenstrain = -elasticity @ torch.from_numpy(mapping.strain)
        weight = brick.gauss_weight
        nodal, modes = strain[:, :, :24], strain[:, :, 24:]
        stress = elasticity @ strain
        full = weight * torch.einsum("gsi,gsj->ij", strain, stress)
        elastic = torch.linalg.solve(full[24:, 24:], full[24:, :24])
        full[24:, 24:] *= 1 + _REGULARISATION
        condensed = nodal - modes @ elastic

        def rows(values: Tensor) -> Tensor:  # [8, 6, k] -> [48, k], components first
            return values.transpose(0, 1).flatten(0, 1).contiguous().to(device)

        eigenstrain = eigenstrain.expand(8, 6, 6)
        self.shear_modulus = float(elasticity[3, 3])
        self.num_modes = modes.shape[2]
        self.trial = rows(torch.cat([elasticity @ condensed, eigenstrain], dim=2))
        self.force = rows(weight * nodal)
        self._mode_stress = rows(elasticity @ modes)
        self._mode_force = rows(weight * modes)
        self._modes, self._all = slice(24, None), slice(None)
        self._weight = weight
        self._strain = strain.transpose(1, 2).contiguous().to(device)  # [8, k, 6]
        self._full = full.to(device)
        self._stiffness = torch.from_numpy(brick.stiffness).to(device)
        projection = deviatoric_projection()
        isotropic = weight * torch.einsum("gsi,st,gtj->gij", strain, projection, strain)
        self._isotropic = isotropic.to(device)
        self._mode_scale = float(self._mode_force.abs().sum(0).max()) if self.num_modes else 0.0

    def return_stress(
        self,
        trial: Tensor,
        plastic: Tensor,
        yield_stress: Tensor,
        hardening: Hardening,
        cells: Tensor,
        modes: Tensor,
    ) -> YieldedCells:
        """Return the stress of bricks to the yield surface, with force-free incompatible modes.

        Newton's method in each brick solves sum over the Gauss points of G^T sigma = 0.

        Args:
            trial: Stress of the elastic increment, [48, n].
            plastic: Equivalent plastic strain before the increment, [8, n].
            yield_stress: [n].
            hardening: Hardening of the bricks.
            cells: Numbers of the bricks, [n].
            modes: Initial guess of beta, [m, n].

        Raises:
            SolverError: If the modes of a brick do not converge.
        """
        target = _TOLERANCE * self._mode_scale * float(yield_stress.max())
        # Each brick goes from its `start`, with the `force` and the `tangent` of the modes, along
        # a `direction` in which the slope of the energy is `slope`. After a step that was too long
        # it tries again with a share `damping` of the elastic stiffness added to the tangent
        # (Levenberg 1944).
        start, slope = modes, torch.full_like(plastic[0], -torch.inf)
        direction, damping = torch.zeros_like(modes), torch.zeros_like(slope)
        force, tangent = torch.zeros_like(modes), self._full[self._modes, self._modes]
        reached = force
        for _ in range(_MAX_ITERATIONS):
            modes = start + direction
            stress = torch.addmm(trial, self._mode_stress, modes).view(6, 8, -1)
            returned = return_mapping(stress, plastic, yield_stress, hardening, self.shear_modulus)
            reached = self._mode_force.T @ returned.stress.flatten(0, 1)
            if not self.num_modes or bool((reached.abs() <= target).all()):
                return YieldedCells(cells, returned, modes, self)
            # The energy is convex, so its slope increases along the direction.
            too_long = (reached * direction).sum(0) > -_SLOPE * slope
            start = torch.where(too_long, start, modes)
            force = torch.where(too_long, force, reached)
            updated = self._tangent(returned, self._modes)
            tangent = torch.where(too_long[:, None, None], tangent, updated)
            more = (100 * damping).clamp(_DAMPING, 1.0)
            less = torch.where(damping >= _DAMPING, damping / 10, 0.0)
            damping = torch.where(too_long, more, less)
            damped = tangent + damping[:, None, None] * self._full[self._modes, self._modes]
            direction = -torch.linalg.solve(damped, force.T).T
            slope = (force * direction).sum(0)
        raise SolverError(
            f"the incompatible modes of a cell did not converge in {_MAX_ITERATIONS} iterations "
            f"(force {float(reached.abs().max()):.3g} N mm, expected {target:.3g} N mm); increase "
            f"plastic_increments or the material's hardening"
        )

    def _tangent(self, returned: ReturnedState, dofs: slice) -> Tensor:
        """Tangent stiffness [n, k, k] between the nodal and mode amplitudes ``dofs``."""
        full, isotropic = self._full[dofs, dofs], self._isotropic[:, dofs, dofs]
        size, count = len(full), returned.isotropic.shape[-1]
        tangent = torch.addmm(full.reshape(1, -1), returned.isotropic.T, isotropic.flatten(1))
        # [8, k, 6] @ [8, 6, n]: work of the flow direction by each amplitude.
        work = (self._strain[:, dofs] @ returned.direction.transpose(0, 1)).permute(2, 1, 0)
        work = work.contiguous()
        scaled = work * (self._weight * returned.directed.T)[:, None, :]
        return torch.baddbmm(tangent.view(count, size, size), work, scaled.transpose(1, 2))

    def tangent_changes(self, yielded: YieldedCells, out: Tensor) -> None:
        """Write the consistent tangent minus the elastic stiffness of the bricks, both with
        condensed modes, to ``out`` [n, 24, 24]."""
        for start in range(0, len(out), _BATCH):
            part = slice(start, start + _BATCH)
            tangent = self._tangent(yielded.returned.of_cells(part), self._all)
            torch.sub(tangent[:, :24, :24], self._stiffness, out=out[part])
            if self.num_modes:
                coupling = tangent[:, 24:, :24]
                elastic = torch.linalg.solve(tangent[:, 24:, 24:], coupling)
                out[part].baddbmm_(tangent[:, :24, 24:], elastic, alpha=-1)
