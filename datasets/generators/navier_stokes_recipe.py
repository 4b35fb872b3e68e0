"""Recipe of FNO's Navier-Stokes set."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import check_choice
from flare_mesh.datasets.generators.mat_file import mat_writer
from flare_mesh.datasets.generators.random_field import periodic_field
from flare_mesh.datasets.generators.recipe import Recipe, Sample, Target, option


@dataclass(frozen=True)
class NavierStokesRecipe(Recipe):
    """Forced two-dimensional turbulence, from FNO (arXiv 2010.08895).

    Writes ``NavierStokes_V1e-5_N1200_T20.mat``, named after the chosen viscosity, number and time:
    vorticity ``a`` [num, 64, 64] at t = 0 and ``u`` [num, 64, 64, 20] at ``t`` = 1, 2, ..., 20, in
    single precision.

    Forcing 0.1 (sin 2 pi (x + y) + cos 2 pi (x + y)); every fourth point of a grid of 256 x 256 is
    stored. By default the time steps are of fourth order and in double precision, which is closer
    to the solution than FNO's first-order steps in single precision, and takes a tenth of the
    time; see ``VorticityFlow``.

    Args:
        num: Samples.
        viscosity: Kinematic viscosity.
        final_time: Last stored time.
        resolution: Stored points along a side.
        solver_resolution: Points along a side of the solver, a multiple of the resolution.
        scheme: ``rk4``, or ``euler`` for FNO's first order.
        dt: Time step, of which 1 is a multiple (default: 5e-3 with rk4, 1e-4 with euler).
        device: ``cpu`` or ``cuda``.
        batch_size: Samples that are computed together (default: 1, or 64 on a GPU).
    """

    name: ClassVar = "navier-stokes"

    num: int = option(1200, role="count")
    viscosity: float = option(1e-5)
    final_time: int = option(20)
    resolution: int = option(64)
    solver_resolution: int = option(256)
    scheme: str = option("rk4")
    dt: float | None = option(None)
    device: str = option("cpu", role="run")
    batch_size: int | None = option(None, role="run")

    def __post_init__(self) -> None:
        import torch

        from flare_mesh.datasets.generators.vorticity import SCHEMES, count_steps

        super().__post_init__()
        check_choice("unknown --scheme", self.scheme, SCHEMES)
        if self.dt is None:
            object.__setattr__(self, "dt", SCHEMES[self.scheme])
        assert self.dt is not None
        count_steps(1.0, self.dt)
        size, fine, batch = self.resolution, self.solver_resolution, self.batch_size
        multiple = fine >= size and fine % max(size, 1) == 0
        checks = [
            (0 <= self.viscosity < math.inf, "--viscosity >= 0", self.viscosity),
            (self.final_time >= 1, "--final-time >= 1", self.final_time),
            (size >= 4, "--resolution >= 4", size),
            (multiple, f"--solver-resolution that is a multiple of {size}", fine),
            (batch is None or batch >= 1, "--batch-size >= 1", batch),
        ]
        for valid, expected, got in checks:
            if not valid:
                raise ValueError(f"expected {expected} (got {got})")
        if self.device != "cpu" and not (
            self.device.split(":")[0] == "cuda" and torch.cuda.is_available()
        ):
            raise ValueError(f"cannot compute on --device '{self.device}' here; use 'cpu'")

    @property
    def batch(self) -> int:
        # A single field fits into the cache of a CPU.
        return self.batch_size or (1 if self.device == "cpu" else 64)

    def targets(self) -> list[Target]:
        mantissa, exponent = f"{self.viscosity:e}".split("e")
        viscosity = f"{float(mantissa):g}e{int(exponent)}"
        times = np.arange(1, self.final_time + 1, dtype=np.float32)[None]
        return [
            Target(
                f"NavierStokes_V{viscosity}_N{self.num}_T{self.final_time}.mat",
                [Sample(0, i) for i in range(self.num)],
                mat_writer("a", "u", t=times),
            )
        ]

    def make(self, samples: Sequence[Sample]) -> Iterator[Mapping[str, NDArray]]:
        import torch

        from flare_mesh.datasets.generators.vorticity import VorticityFlow

        size = self.solver_resolution
        place = torch.arange(size, dtype=torch.float64) / size
        phase = 2 * math.pi * (place[:, None] + place)
        flow = VorticityFlow(
            size,
            viscosity=self.viscosity,
            scheme=self.scheme,
            dt=self.dt,
            forcing=0.1 * (phase.sin() + phase.cos()),
            device=self.device,
        )
        initial = torch.stack(
            [torch.from_numpy(periodic_field(self.rng(sample), size)) for sample in samples]
        )
        every = slice(None, None, size // self.resolution)
        stored = [
            field[:, every, every].float().cpu() for field in flow.run(initial, self.final_time)
        ]
        first = initial[:, every, every].float()
        for a, u in zip(first, torch.stack(stored, dim=-1), strict=True):
            yield {"a": a.numpy(), "u": u.numpy()}
