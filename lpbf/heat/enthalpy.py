"""Enthalpy of a material as a function of temperature."""

import numpy as np
import torch
from torch import Tensor

from lpbf.core.material import Material
from lpbf.core.table import as_table
from lpbf.heat import heat_kernels

MIN_MELTING_RANGE = 1.0
"""Smallest distance in K from solidus to liquidus of a material with latent heat."""


class Enthalpy:
    """Enthalpy per volume, H(T) = rho (int c dT + L f(T)), in J/m^3, and its slope.

    The liquid fraction f rises linearly from the solidus to the liquidus. c is piecewise linear,
    so H is piecewise quadratic and integrated exactly, from the table's first temperature on.

    Args:
        material: Material with density, specific_heat and latent_heat, and with solidus and
            liquidus unless the latent heat is 0.
        device: Device of the tensors.

    Raises:
        ValueError: If the material lacks a property, a heat capacity is not positive, or the
            melting range is less than 1 K.
    """

    def __init__(self, material: Material, *, device: str | torch.device = "cpu"):
        material.require("density", "specific_heat", "latent_heat")
        assert material.density is not None
        assert material.specific_heat is not None
        heat = as_table(material.specific_heat)
        if min(heat.value) <= 0:
            raise ValueError(
                f"Material '{material.name}': expected specific_heat > 0 J/(kg K) everywhere "
                f"(got {min(heat.value)})"
            )
        self.melting: tuple[float, float] | None = None
        if material.latent_heat:
            material.require("solidus", "liquidus")
            assert material.solidus is not None
            assert material.liquidus is not None
            self.melting = (material.solidus, material.liquidus)
            if material.liquidus - material.solidus < MIN_MELTING_RANGE:
                raise ValueError(
                    f"Material '{material.name}': expected liquidus >= solidus + "
                    f"{MIN_MELTING_RANGE:g} C, over which the latent heat is spread (got "
                    f"{self.melting}); widen the melting range"
                )
        points = np.unique([*heat.temperature, *(self.melting or ())])
        # c and its slope at the start of each segment; the first segment is left of all points.
        starts = np.concatenate([points[:1], points])
        capacity = heat(starts)
        slope = np.zeros(len(starts))
        slope[1:-1] = np.diff(capacity[1:]) / np.diff(points)
        if self.melting and material.latent_heat:
            start, end = self.melting
            capacity[1:][(points >= start) & (points < end)] += material.latent_heat / (end - start)
        width = np.diff(points)
        rise = capacity[1:-1] * width + slope[1:-1] * width**2 / 2
        value = np.concatenate([[0.0, 0.0], np.cumsum(rise)])
        table = material.density * np.stack([value, capacity, slope])
        self._points = torch.from_numpy(points).to(device)
        self._starts = torch.from_numpy(starts).to(device)
        self._tables = torch.from_numpy(table).to(device)

    def __call__(self, temperature: Tensor) -> tuple[Tensor, Tensor]:
        """H in J/m^3 and dH/dT in J/(m^3 K), from above where it jumps, at temperatures in C."""
        if heat_kernels.can_run(temperature):
            value, capacity = torch.empty_like(temperature), torch.empty_like(temperature)
            known = (temperature, self._points, self._starts, self._tables, value, capacity)
            heat_kernels.enthalpy(*(t.numpy() for t in known))
            return value, capacity
        values, capacities, slopes = self._tables
        segment = torch.bucketize(temperature, self._points, right=True)
        above = temperature - self._starts[segment]
        slope = slopes[segment]
        capacity = capacities[segment] + slope * above
        return values[segment] + (capacity - slope * above / 2) * above, capacity

    def stop_at_melting(self, start: Tensor, end: Tensor) -> Tensor:
        """``end``, or the middle of the melting range where a step from ``start`` crosses it.

        Newton's method overshoots where the slope of H jumps.
        """
        if self.melting is None:
            return end
        low, high = self.melting
        crosses = ((start < low) & (end > high)) | ((start >= high) & (end < low))
        return torch.where(crosses, (low + high) / 2, end)
