"""One implicit step of transient conduction."""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from lpbf.core.errors import SolverError
from lpbf.heat.conduction import HeatFlow
from lpbf.heat.enthalpy import Enthalpy
from lpbf.solve.conjugate_gradients import conjugate_gradients

# Of the residual by each of Newton's corrections.
_REDUCTION = 1e-3


@dataclass(frozen=True)
class HeatStep:
    """What a time step did.

    Attributes:
        layer: The newest layer, from 0.
        time: At the end of the step, s since the first deposition.
        time_step: s.
        enthalpy_change: Of the part, J.
        heat_lost: To plate, powder and gas, J.
        exchanged: Heat that came into cells or left them, J.
        balance_error: |enthalpy change + heat lost| / exchanged; at most the tolerance, unless
            next to nothing but rounding was exchanged.
        newton_iterations: Number of linear systems solved.
        iterations: Of the conjugate gradients, in all of them.
    """

    layer: int
    time: float
    time_step: float
    enthalpy_change: float
    heat_lost: tuple[float, float, float]
    exchanged: float
    balance_error: float
    newton_iterations: int
    iterations: int


@dataclass(frozen=True)
class TimeStepper:
    """Implicit Euler in the enthalpy: V (H(T) - H(T_old)) + dt (A T - b) = 0 by Newton's method.

    A stays as it is during the step. The linear systems are solved by conjugate gradients.

    Args:
        enthalpy: H(T).
        volume: Of a voxel, m^3.
        tolerance: Sum of the cells' absolute residuals over the heat exchanged.
        max_newton: Limit of Newton's iterations.
        max_iterations: Limit of the conjugate gradients' iterations in each of them.
    """

    enthalpy: Enthalpy
    volume: float
    tolerance: float = 1e-7
    max_newton: int = 60
    max_iterations: int = 5000

    def __call__(
        self,
        old: Tensor,
        flow: HeatFlow,
        time_step: float,
        *,
        layer: int,
        time: float,
    ) -> tuple[Tensor, HeatStep]:
        """Temperatures [n] at ``time``, from those one time step before.

        Raises:
            SolverError: If Newton's method or the conjugate gradients do not converge.
        """
        name = f"heat of layer {layer} at {time:.6g} s"
        stored, slope = self.enthalpy(old)
        # Rounding of temperatures and enthalpies bounds what can be reached near a steady state.
        content = self.volume * stored.abs() + time_step * flow.matrix.diagonal * old.abs()
        floor = 4 * torch.finfo(old.dtype).eps * float(content.sum())
        temperature, value, newton_iterations, iterations = old, stored, 0, 0
        while True:
            gain = self.volume * (value - stored)
            lost = time_step * flow.lost(temperature)
            residual = -gain - time_step * flow.out(temperature)
            exchanged = float(gain.abs().sum() + lost.abs().sum())
            error = float(residual.abs().sum())
            goal = max(self.tolerance * exchanged, floor)
            if error <= goal:
                break
            if newton_iterations == self.max_newton:
                raise SolverError(
                    f"{name}: Newton's method did not converge in {newton_iterations} iterations "
                    f"(residual {error / exchanged:.2e} of the heat exchanged, expected "
                    f"{self.tolerance:.0e}); take more time_steps or a smaller growth"
                )
            # A correction needs no more digits than the nonlinearity or the goal leave it.
            target = max(_REDUCTION * error, 0.3 * goal)
            capacity = slope * (self.volume / time_step)
            matrix = dataclasses.replace(flow.matrix, diagonal=capacity + flow.matrix.diagonal)
            change, count, rest = conjugate_gradients(
                matrix.operator(),
                matrix.preconditioner(),
                residual / time_step,
                target=target / time_step,
                max_iterations=self.max_iterations,
                order=1,
            )
            if not rest <= target / time_step:
                raise SolverError(
                    f"{name}: the conjugate gradients did not converge in {count} iterations "
                    f"(residual {rest * time_step / error:.2e} of the first one); take more "
                    f"time_steps or a smaller growth"
                )
            temperature = self.enthalpy.stop_at_melting(temperature, temperature + change)
            value, slope = self.enthalpy(temperature)
            newton_iterations, iterations = newton_iterations + 1, iterations + count
        change, (plate, powder, gas) = float(gain.sum()), lost.tolist()
        imbalance = abs(change + plate + powder + gas)
        return temperature, HeatStep(
            layer=layer,
            time=time,
            time_step=time_step,
            enthalpy_change=change,
            heat_lost=(plate, powder, gas),
            exchanged=exchanged,
            balance_error=imbalance / exchanged if exchanged > 0 else 0.0,
            newton_iterations=newton_iterations,
            iterations=iterations,
        )
