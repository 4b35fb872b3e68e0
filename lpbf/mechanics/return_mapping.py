"""Radial return: the stress of von Mises plasticity at the end of a strain increment."""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from lpbf.core.errors import SolverError
from lpbf.mechanics.plastic_hardening import Hardening

# Tolerance of Newton's method for the saturating hardening, relative to the equivalent trial
# stress. The equation is convex and decreasing, so the method converges from below.
_TOLERANCE = 1e-13
_MAX_ITERATIONS = 60


@dataclass(frozen=True)
class ReturnedState:
    """Stress on the yield surface, and the coefficients of the consistent tangent.

    The tangent is D + a P + b n n^T with the deviatoric projection P of
    :func:`deviatoric_projection` and the direction n.

    Attributes:
        stress: [6, ...], MPa.
        plastic: Increment of the equivalent plastic strain, [...]; 0 at elastic points.
        direction: Unit tensor n along the deviator of the stress, components [6, ...].
        isotropic: Coefficient a, [...], MPa.
        directed: Coefficient b, [...], MPa.
    """

    stress: Tensor
    plastic: Tensor
    direction: Tensor
    isotropic: Tensor
    directed: Tensor

    @property
    def plastic_strain(self) -> Tensor:
        """Increment of the plastic strain, [6, ...], with engineering shear strains."""
        increment = self.direction * (1.5**0.5 * self.plastic)
        increment[3:] *= 2
        return increment

    def of_cells(self, cells: slice) -> "ReturnedState":
        """State of a range of cells, the last axis."""
        return ReturnedState(*(getattr(self, field.name)[..., cells] for field in fields(self)))


def deviatoric_projection() -> Tensor:
    """Matrix P [6, 6] from engineering strains to the tensor components of their deviator."""
    matrix = torch.diag(torch.tensor([1.0, 1.0, 1.0, 0.5, 0.5, 0.5], dtype=torch.float64))
    matrix[:3, :3] -= 1 / 3
    return matrix


def von_mises_stress(stress: Tensor) -> Tensor:
    """Equivalent stress [...] of stresses [6, ...]."""
    xx, yy, zz, xy, yz, xz = stress
    normal = (xx - yy).square_().add_((yy - zz).square_()).add_((zz - xx).square_())
    shear = (xy * xy).addcmul_(yz, yz).addcmul_(xz, xz)
    return normal.mul_(0.5).add_(shear, alpha=3).sqrt_()


def return_mapping(
    trial: Tensor, plastic: Tensor, yield_stress: Tensor, hardening: Hardening, shear_modulus: float
) -> ReturnedState:
    """Radial return of von Mises plasticity with isotropic hardening (Wilkins 1964; Simo and
    Hughes, Computational Inelasticity, 1998, box 3.1), backward Euler:

        q - 3 G dp = Y + h(p + dp),    s = (1 - 3 G dp / q) s_trial

    with the equivalent trial stress q and the deviator s. Linear hardening has a closed form.

    Args:
        trial: Stress of the elastic increment, [6, ...], MPa; xx, yy, zz, xy, yz, xz.
        plastic: Equivalent plastic strain before the increment, [...].
        yield_stress: Initial yield stress Y, MPa, broadcast to [...].
        hardening: h(p).
        shear_modulus: G, MPa.

    Raises:
        SolverError: If Newton's method for the saturating hardening does not converge.
    """
    deviator = trial.clone()
    mean = (trial[0] + trial[1] + trial[2]).div_(3)
    deviator[:3] -= mean
    q = von_mises_stress(trial)
    stiff = 3 * shear_modulus
    excess = (q - yield_stress - hardening.stress(plastic)).clamp_min_(0)
    increment = excess / (stiff + hardening.slope(plastic))
    yields = excess > 0
    if not hardening.is_linear:
        for _ in range(_MAX_ITERATIONS):
            after = plastic + increment
            rest = q - stiff * increment - yield_stress - hardening.stress(after)
            rest = torch.where(yields, rest, 0.0)
            increment += rest / (stiff + hardening.slope(after))
            if bool((rest <= _TOLERANCE * q).all()):
                break
        else:
            raise SolverError(
                f"the return to the yield surface did not converge in {_MAX_ITERATIONS} "
                f"iterations; check the material's hardening"
            )
    safe = torch.where(yields, q, 1.0)
    ratio = increment / safe
    slope = hardening.slope(plastic + increment)
    scale = 2 * shear_modulus * stiff  # 6 G^2
    # In place: the deviator, whose norm is sqrt(2/3) q, becomes the unit direction.
    stress = trial - deviator * (stiff * ratio)
    direction = deviator.mul_(1.5**0.5 / safe)
    return ReturnedState(
        stress=stress,
        plastic=increment,
        direction=direction,
        isotropic=-scale * ratio,
        directed=torch.where(yields, scale * (ratio - 1 / (stiff + slope)), 0.0),
    )
