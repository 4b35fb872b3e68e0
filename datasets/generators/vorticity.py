"""Two-dimensional incompressible flow in the periodic unit square, in vorticity form."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from flare_mesh.choices import check_choice

SCHEMES = {"rk4": 5e-3, "euler": 1e-4}
"""Time integration schemes, and their default time steps."""


def count_steps(interval: float, dt: float) -> int:
    """Number of steps of ``dt`` in an interval.

    Raises:
        ValueError: If it is not a whole number.
    """
    steps = round(interval / dt) if 0 < dt < math.inf else 0
    if steps < 1 or not math.isclose(steps * dt, interval, rel_tol=1e-9):
        raise ValueError(f"expected a dt > 0 of which {interval:g} is a multiple (got {dt:g})")
    return steps


class VorticityFlow:
    """Pseudo-spectral solver of dw/dt + u . grad w = nu Laplace w + f, div u = 0, on [0, 1]^2.

    The advection has the form d_x d_y (v^2 - u^2) + (d_xx - d_yy) u v (Basdevant 1983), with two
    real transforms in each direction. Wave numbers of at least a third of ``size`` are cut off,
    against aliasing. The mean vorticity has no influence and does not change.

    Schemes: ``"rk4"``, fourth order, with the viscous term integrated exactly; ``"euler"``, the
    scheme of FNO's program (arXiv 2010.08895), explicit first order with a Crank-Nicolson viscous
    term.

    Args:
        size: Points along a side.
        viscosity: nu.
        scheme: ``"rk4"`` or ``"euler"``.
        dt: Time step; None for the default of the scheme.
        forcing: f at the points i / size [size, size]; None for zero.
        device: Device of the computation, in double precision.

    Raises:
        ValueError: If the scheme is unknown.
    """

    def __init__(
        self,
        size: int,
        *,
        viscosity: float,
        scheme: str = "rk4",
        dt: float | None = None,
        forcing: Tensor | None = None,
        device: str | torch.device = "cpu",
    ) -> None:
        check_choice("unknown scheme", scheme, SCHEMES)
        self.size = size
        self.dt = SCHEMES[scheme] if dt is None else dt
        self.device = torch.device(device)
        self._limit = (size - 1) // 3
        kx = torch.fft.fftfreq(size, 1 / size, dtype=torch.float64)[:, None]
        ky = torch.arange(self._limit + 1, dtype=torch.float64)
        resolved = (kx.abs() <= self._limit).double().expand(-1, self._limit + 1)
        x, y = 2 * math.pi * kx, 2 * math.pi * ky
        laplacian = x**2 + y**2
        inverse = torch.where(laplacian > 0, 1 / laplacian, 0)
        # Complex factors avoid a conversion at every step.
        self._resolved = self._factor(resolved)
        self._velocity = self._factor(torch.stack([1j * y * inverse, -1j * x * inverse]))
        self._advection = self._factor(torch.stack([x**2 - y**2, x * y]) * resolved)
        self._forcing = None
        if forcing is not None:
            self._forcing = self._to_waves(forcing.to(self.device)) * self._resolved
        if scheme == "euler":
            half = self.dt * viscosity * laplacian / 2
            self._old = self._factor((1 - half) / (1 + half))
            self._new = self._factor(self.dt / (1 + half))
            self._step = self._euler
        else:
            decay = torch.exp(-viscosity * laplacian * self.dt / 2)
            self._decay = self._factor(decay)
            self._first = self._factor(self.dt / 6 * decay**2)
            self._half = self._factor(self.dt / 2 * decay)
            self._full = self._factor(self.dt * decay)
            self._between = self._factor(self.dt / 3 * decay)
            self._step = self._rk4

    @torch.inference_mode()
    def run(self, vorticity: Tensor, times: int, interval: float = 1.0) -> Iterator[Tensor]:
        """The vorticity at ``interval``, 2 ``interval``, ..., ``times`` ``interval``.

        Args:
            vorticity: Initial vorticity at the points i / size; its high wave numbers are cut off.
            times: Number of times.
            interval: Time between two results, a multiple of the time step.

        Shapes:
            vorticity and each result [..., size, size].

        Raises:
            ValueError: If the interval is not a multiple of the time step, or the scheme is
                unstable with this time step.
        """
        steps = count_steps(interval, self.dt)
        waves = self._to_waves(vorticity.to(self.device)) * self._resolved
        for i in range(times):
            for _ in range(steps):
                waves = self._step(waves)
            points = self._to_points(waves)
            if not points.isfinite().all():
                raise ValueError(
                    f"the solution is unstable before t = {(i + 1) * interval:g} with "
                    f"dt = {self.dt:g}; use a smaller dt"
                )
            yield points

    def _factor(self, values: Tensor) -> Tensor:
        return values.to(self.device, torch.complex128).contiguous()

    def _to_waves(self, points: Tensor) -> Tensor:
        half = torch.fft.rfft(points.double(), dim=-1)[..., : self._limit + 1]
        return torch.fft.fft(half, dim=-2)

    def _to_points(self, waves: Tensor) -> Tensor:
        return torch.fft.irfft(torch.fft.ifft(waves, dim=-2), n=self.size, dim=-1)

    def _change(self, waves: Tensor) -> Tensor:
        """Right-hand side f - u . grad w without the viscous term."""
        velocity = self._to_points(self._velocity * waves.unsqueeze(-3))
        u, v = velocity.unbind(-3)
        products = torch.empty_like(velocity)
        product, difference = products.unbind(-3)
        torch.mul(u, v, out=product)
        torch.mul(v - u, u.add_(v), out=difference)
        first, second = self._to_waves(products).unbind(-3)
        change = self._advection[0] * first
        change.addcmul_(self._advection[1], second)
        return change if self._forcing is None else change.add_(self._forcing)

    def _euler(self, waves: Tensor) -> Tensor:
        return torch.addcmul(self._old * waves, self._new, self._change(waves))

    def _rk4(self, waves: Tensor) -> Tensor:
        k1 = self._change(waves)
        middle = self._decay * waves
        k2 = self._change(torch.addcmul(middle, self._half, k1))
        k3 = self._change(torch.add(middle, k2, alpha=self.dt / 2))
        end = self._decay * middle
        k4 = self._change(torch.addcmul(end, self._full, k3))
        end.addcmul_(self._first, k1)
        end.addcmul_(self._between, k2.add_(k3))
        return end.add_(k4, alpha=self.dt / 6)
