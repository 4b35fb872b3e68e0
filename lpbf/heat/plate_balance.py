"""Heat balance of the build plate."""

from collections.abc import Callable

from torch import Tensor

from lpbf.core.errors import SolverError
from lpbf.core.heat import Heat
from lpbf.heat.conduction import TO_PLATE, Conduction
from lpbf.heat.time_step import HeatStep

# Error of the plate's balance over the heat that is exchanged in a time step, and that of rounding.
_TOLERANCE, _ROUNDING = 1e-6, 1e-12
_MAX_ITERATIONS = 40


class PlateBalance:
    """Temperature of a plate that stores heat: C dT/dt = Q - G (T - preheat).

    Q is the heat from the part. The heater of the machine is taken to have the constant power that
    holds ``preheat`` without a part. In a time step the part sees the plate's temperature at its
    end, or the mean over the step with time steps of second order. It is found by the secant
    method, so that no heat is lost between part and plate.

    Args:
        heat: Capacity and loss of the plate; without a capacity its temperature is constant.
        conduction: Conduction in the part, whose plate temperature is set.

    Attributes:
        temperature: Temperature of the plate, degrees Celsius.
    """

    def __init__(self, heat: Heat, conduction: Conduction):
        self.temperature = heat.preheat
        self._heat, self._conduction = heat, conduction
        self._share = 1.0 if heat.time_order == 1 else 0.5

    def step(
        self, advance: Callable[[], tuple[Tensor, HeatStep]], time_step: float, hottest: float
    ) -> tuple[Tensor, HeatStep]:
        """Advance part and plate by a time step.

        Args:
            advance: Solution of the part's time step with the plate temperature of the conduction.
            time_step: s.
            hottest: Highest temperature of the part, degrees Celsius.

        Raises:
            SolverError: If the temperature of the plate does not converge.
        """
        capacity, preheat = self._heat.plate_heat_capacity, self._heat.preheat
        if capacity is None:
            return advance()
        inertia, loss = capacity / self._share, time_step * self._heat.plate_loss
        low = min(self.temperature, preheat, self._heat.gas_temperature)
        if self._heat.powder_temperature is not None:
            low = min(low, self._heat.powder_temperature)
        high = max(self.temperature, preheat, hottest)
        seen, before, count = self.temperature, None, 0
        while True:
            self._conduction.plate_temperature = seen
            temperature, report = advance()
            rise = inertia * (seen - self.temperature)
            rest = rise - report.heat_lost[TO_PLATE] + loss * (seen - preheat)
            goal = _TOLERANCE * (report.exchanged + abs(rise))
            if abs(rest) <= goal + _ROUNDING * capacity * (abs(seen) + 1):
                self.temperature += (seen - self.temperature) / self._share
                return temperature, report
            count += 1
            if count == _MAX_ITERATIONS:
                raise SolverError(
                    f"heat of layer {report.layer} at {report.time:.6g} s: the temperature of the "
                    f"plate did not converge in {count} iterations; use more time_steps or a "
                    f"larger plate_heat_capacity"
                )
            slope = inertia + loss
            if before is not None and before[0] != seen:
                slope = (rest - before[1]) / (seen - before[0])
            before = seen, rest
            seen = min(max(seen - rest / slope, low), high)
