"""One implicit time step of transient conduction."""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor

from lpbf.core.errors import SolverError
from lpbf.heat.conduction import HeatFlow
from lpbf.heat.enthalpy import Enthalpy

# Reduction of the residual by the linear solution of a Newton iteration.
_REDUCTION = 1e-4


@dataclass(frozen=True)
class HeatStep:
    """Report of a time step.

    Attributes:
        layer: The newest layer, from 0.
        time: End of the step, s since the first deposition.
        time_step: Length of the step, s.
        enthalpy_change: Change of the part's enthalpy, J.
        heat_lost: Heat lost to plate, powder and gas, J.
        exchanged: Sum of the absolute heat changes of all cells and surroundings, J.
        balance_error: |enthalpy change + heat lost| / exchanged; at most the tolerance, unless
            little more than rounding was exchanged.
        newton_iterations: Number of linear systems solved.
        iterations: Iterations of the conjugate gradients in all linear systems.
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

    A is constant during the step. The linear systems are solved by conjugate gradients.

    Args:
        enthalpy: H(T).
        volume: Volume of a voxel, m^3.
        tolerance: Sum of the cells' absolute residuals over the heat exchanged.
        max_newton: Maximum number of Newton iterations.
        max_iterations: Maximum number of conjugate gradient iterations for a linear system.
    """

    enthalpy: Enthalpy
    volume: float
    tolerance: float = 1e-7
    max_newton: int = 60
    max_iterations: int = 5000

    def __call__(
        self, old: Tensor, flow: HeatFlow, time_step: float, *, layer: int, time: float
    ) -> tuple[Tensor, HeatStep]:
        """Temperature [n] at ``time`` from the temperature ``old`` [n] one time step before.

        Raises:
            SolverError: If Newton's method or the conjugate gradients do not converge.
        """
        name = f"heat of layer {layer} at {time:.6g} s"
        stored, slope = self.enthalpy(old)
        # Near a steady state, rounding of temperatures and enthalpies bounds the residual.
        content = self.volume * stored.abs() + time_step * flow.matrix.diagonal * old.abs()
        floor = 4 * torch.finfo(old.dtype).eps * float(content.sum())
        temperature, value, newton_iterations, iterations = old, stored, 0, 0
        while True:
            gain = self.volume * (value - stored)
            residual, balance = flow.balance(temperature, gain, time_step)
            exchanged, error = balance.exchanged, balance.error
            goal = max(self.tolerance * exchanged, floor)
            if error <= goal:
                break
            if newton_iterations == self.max_newton:
                raise SolverError(
                    f"{name}: Newton's method did not converge in {newton_iterations} iterations "
                    f"(residual {error / exchanged:.2e} of the heat exchanged, expected "
                    f"{self.tolerance:.0e}); use more time_steps or a smaller growth"
                )
            # A Newton iteration needs no more digits than the nonlinearity or the goal warrant.
            target = max(_REDUCTION * error, 0.3 * goal)
            capacity = slope * (self.volume / time_step)
            matrix = dataclasses.replace(flow.matrix, diagonal=capacity + flow.matrix.diagonal)
            change, count, rest = matrix.solve(
                residual / time_step,
                target=target / time_step,
                max_iterations=self.max_iterations,
            )
            if not rest <= target / time_step:
                raise SolverError(
                    f"{name}: the conjugate gradients did not converge in {count} iterations "
                    f"(residual {rest * time_step / error:.2e} of the initial one, expected "
                    f"{target / error:.0e}); use more time_steps or a smaller growth"
                )
            temperature = self.enthalpy.stop_at_melting(temperature, temperature + change)
            value, slope = self.enthalpy(temperature)
            newton_iterations, iterations = newton_iterations + 1, iterations + count
        imbalance = abs(balance.gain + sum(balance.lost))
        return temperature, HeatStep(
            layer=layer,
            time=time,
            time_step=time_step,
            enthalpy_change=balance.gain,
            heat_lost=balance.lost,
            exchanged=exchanged,
            balance_error=imbalance / exchanged if exchanged > 0 else 0.0,
            newton_iterations=newton_iterations,
            iterations=iterations,
        )
