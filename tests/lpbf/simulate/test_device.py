"""Agreement of the compiled kernels, torch's kernels, and devices."""

from dataclasses import replace

import numpy as np
import pytest

from lpbf import BasePlate, Heat, HexMesh, Process, simulate
from lpbf.heat import heat_kernels
from lpbf.solve import (
    brick_stiffness,
    cell_stencil,
    conjugate_gradients,
    kernels_torch,
    multigrid,
    node_stencil,
    preconditioner,
)

EVERYTHING = Process(
    plasticity=True,
    inherent_strain=(-0.012, -0.006, -0.009),
    scan_rotation=67.0,
    release=True,
    islands="powder",
    base_plate=BasePlate(2.0, 1.0),
    heat=Heat(dwell_time=20.0, cooling_time=100.0, thermal_strain=True),
)
CUTS = Process(
    inherent_strain=(-0.004, -0.002, -0.003),
    islands="powder",
    release=[{"box": [[-1, -1, 0], [2, 9, 0]]}, {"box": [[4, -1, 1], [6, 9, 2]]}],
)


def bridge():
    mask = np.ones((6, 3, 5), dtype=bool)
    mask[2:4, :, :3] = False
    mask[2, 1, 1] = True  # unsupported, in powder
    return HexMesh.from_mask(mask, 1.0)


def assert_same(one, other):
    for name in ("displacement", "stress", "temperature", "plastic_strain"):
        a, b = getattr(one, name), getattr(other, name)
        if a is not None:
            np.testing.assert_allclose(a, b, rtol=0, atol=1e-5 * np.abs(a).max())


@pytest.mark.slow
@pytest.mark.parametrize("process", [replace(EVERYTHING, plasticity=False), EVERYTHING, CUTS])
def test_torchs_kernels(process, monkeypatch):
    compiled = simulate(bridge(), process)
    for module in (brick_stiffness, cell_stencil, conjugate_gradients, multigrid, node_stencil):
        monkeypatch.setattr(module, "kernels_numba", kernels_torch)
    monkeypatch.setattr(heat_kernels, "can_run", lambda tensor: False)
    monkeypatch.setattr(preconditioner, "prefers_elimination", lambda *_: False)
    assert_same(compiled, simulate(bridge(), process))


@pytest.mark.gpu
@pytest.mark.parametrize("process", [replace(EVERYTHING, plasticity=False), EVERYTHING, CUTS])
def test_cuda(process):
    assert_same(simulate(bridge(), process), simulate(bridge(), process, device="cuda"))
