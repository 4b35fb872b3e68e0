"""One time step of transient conduction."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lpbf.core.errors import SolverError
from lpbf.heat.conduction import HeatBalance, HeatFlow
from lpbf.heat.enthalpy import Enthalpy

# Reduction of the residual by the linear solution of a Newton iteration.
_REDUCTION = 1e-4
# Iterations of a second-order stage that update the conductivity. From the second one on its error
# is of second order in the time step; a constant one makes Newton's method converge.
_UPDATES = 4
_GAMMA = 1 - math.sqrt(0.5)


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
class _Stage:
    """Solution of an implicit stage; the stored heat is per volume."""

    temperature: Tensor
    stored: Tensor
    balance: HeatBalance
    newton_iterations: int
    iterations: int


@dataclass(frozen=True)
class TimeStepper:
    """Implicit time steps in the enthalpy, V dH(T)/dt + A T - b = 0.

    Order 1 is implicit Euler, with the conductivity in A at the start of the step. Order 2 is the
    singly diagonally implicit Runge-Kutta method of two stages with gamma = 1 - sqrt(1/2), which is
    L-stable (Alexander, SIAM J. Numer. Anal. 14, 1977):

        H_1 = H_0 + gamma dt F(T_1),  H_2 = H_0 + (1 - gamma) dt F(T_1) + gamma dt F(T_2)

    with the conductivity of each stage. The stages are solved by Newton's method, and the linear
    systems by conjugate gradients.

    Args:
        enthalpy: H(T).
        volume: Volume of the metal in a voxel, m^3; one number or that of each voxel, [n].
        tolerance: Sum of the cells' absolute residuals over the heat exchanged.
        max_newton: Maximum number of Newton iterations.
        max_iterations: Maximum number of conjugate gradient iterations for a linear system.
        order: 1 or 2.
    """

    enthalpy: Enthalpy
    volume: float | Tensor
    tolerance: float = 1e-7
    max_newton: int = 60
    max_iterations: int = 5000
    order: int = 1

    def __call__(
        self,
        old: Tensor,
        flow_at: Callable[[Tensor], HeatFlow],
        time_step: float,
        *,
        layer: int,
        time: float,
    ) -> tuple[Tensor, HeatStep]:
        """Temperature [n] at ``time`` from the temperature ``old`` [n] one time step before.

        Args:
            old: [n], degrees Celsius.
            flow_at: Heat flows with the conductivity at temperatures [n].
            time_step: s.
            layer: The newest layer, for the report.
            time: s, for the report.

        Raises:
            SolverError: If Newton's method or the conjugate gradients do not converge.
        """
        name = f"heat of layer {layer} at {time:.6g} s"
        stored = self.enthalpy(old)[0]
        if self.order == 1:
            last = self._solve(old, stored, flow_at, time_step, name, updates=0)
            newton, iterations = last.newton_iterations, last.iterations
            gain, size, lost = last.balance.gain, last.balance.exchanged, last.balance.lost
        else:
            first = self._solve(old, stored, flow_at, _GAMMA * time_step, name, updates=_UPDATES)
            share = (1 - _GAMMA) / _GAMMA
            between = stored + share * (first.stored - stored)
            last = self._solve(
                first.temperature, between, flow_at, _GAMMA * time_step, name, updates=_UPDATES
            )
            newton = first.newton_iterations + last.newton_iterations
            iterations = first.iterations + last.iterations
            plate, powder, gas = (
                share * one + other
                for one, other in zip(first.balance.lost, last.balance.lost, strict=True)
            )
            lost = (plate, powder, gas)
            change = self.volume * (last.stored - stored)
            gain = float(change.sum())
            size = float(change.abs().sum()) + sum(abs(value) for value in lost)
        return last.temperature, HeatStep(
            layer=layer,
            time=time,
            time_step=time_step,
            enthalpy_change=gain,
            heat_lost=lost,
            exchanged=size,
            balance_error=abs(gain + sum(lost)) / size if size > 0 else 0.0,
            newton_iterations=newton,
            iterations=iterations,
        )

    def _solve(
        self,
        start: Tensor,
        stored: Tensor,
        flow_at: Callable[[Tensor], HeatFlow],
        time_step: float,
        name: str,
        updates: int,
    ) -> _Stage:
        """Solve V (H(T) - stored) + time_step (A T - b) = 0 from T = ``start``; the first
        iterations update the conductivity."""
        flow = flow_at(start)
        # Near a steady state, rounding of temperatures and enthalpies bounds the residual.
        content = self.volume * stored.abs() + time_step * flow.matrix.diagonal * start.abs()
        floor = 4 * torch.finfo(start.dtype).eps * float(content.sum())
        temperature, newton_iterations, iterations = start, 0, 0
        value, slope = self.enthalpy(start)
        while True:
            if 0 < newton_iterations <= updates:
                flow = flow_at(temperature)
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
        return _Stage(temperature, value, balance, newton_iterations, iterations)
