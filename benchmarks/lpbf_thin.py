"""Iterations and time of elastic builds of thin and solid parts, directly and by multigrid.

    python benchmarks/lpbf_thin.py [--only NAME ...] [--repeat 3] [--json FILE]

Each part is built in layers of one voxel, with the solver that ``lpbf`` chooses and with multigrid.
Their displacements have to agree before they are timed. Times are the least of the repetitions, in
s of one core (time of the process, so that other programs matter little).
"""

import time
from collections.abc import Callable
from unittest import mock

import numpy as np
import torch
from lpbf_simulate import Row, measure_all, read_options
from numpy.typing import NDArray

from lpbf import HexMesh, Material, Process, Result, simulate
from lpbf.solve import preconditioner

METAL = Material("metal", 110_000.0, 0.34)


def wall(thickness: int, width: int, height: int) -> NDArray[np.bool_]:
    return np.ones((thickness, width, height), dtype=bool)


def tube(width: int) -> NDArray[np.bool_]:
    """A square tube with walls of one voxel."""
    mask = np.ones((width, width, width), dtype=bool)
    mask[1:-1, 1:-1] = False
    return mask


def lattice(cells: int, step: int) -> NDArray[np.bool_]:
    """Struts of one voxel along the edges of cubes of ``step`` voxels."""
    size = cells * step + 1
    mask = np.zeros((size, size, size - 1), dtype=bool)
    mask[::step, ::step] = True
    mask[::step, :, ::step] = mask[:, ::step, ::step] = True
    return mask


PARTS: dict[str, Callable[[], NDArray[np.bool_]]] = {
    "wall 1 x 40 x 30": lambda: wall(1, 40, 30),
    "wall 2 x 40 x 30": lambda: wall(2, 40, 30),
    "tube 24 x 24 x 24": lambda: tube(24),
    "lattice 13 x 13 x 12": lambda: lattice(3, 4),
    "lattice 25 x 25 x 24": lambda: lattice(4, 6),
    "column 8 x 8 x 24": lambda: np.ones((8, 8, 24), dtype=bool),
    "cube 12 x 12 x 12": lambda: np.ones((12, 12, 12), dtype=bool),
    "cube 20 x 20 x 20": lambda: np.ones((20, 20, 20), dtype=bool),
}


def build(mesh: HexMesh, repeat: int, multigrid: bool) -> tuple[Result, float]:
    """Result of a build, and its time."""
    chosen = preconditioner.prefers_elimination
    seconds = []
    with mock.patch.object(
        preconditioner, "prefers_elimination", lambda *shape: not multigrid and chosen(*shape)
    ):
        result = simulate(mesh, Process(METAL))
        for _ in range(repeat):
            start = time.process_time()
            simulate(mesh, Process(METAL))
            seconds.append(time.process_time() - start)
    return result, min(seconds)


def measure(name: str, repeat: int) -> Row:
    mesh = HexMesh.from_mask(PARTS[name](), 1.0)
    multigrid, multigrid_seconds = build(mesh, repeat, True)
    found, seconds = build(mesh, repeat, False)
    expected = multigrid.displacement
    error = np.abs(found.displacement - expected).max() / np.abs(expected).max()
    assert error < 1e-5, f"{name}: the displacements differ by {error:.2g}"
    layers = np.arange(mesh.mask.shape[2]) + 1
    direct = preconditioner.prefers_elimination(mesh.cell_index, layers)
    return {
        "cells": mesh.num_cells,
        "solver": "direct" if direct else "multigrid",
        "most_iterations": most_iterations(found),
        "seconds": seconds,
        "multigrid_most_iterations": most_iterations(multigrid),
        "multigrid_seconds": multigrid_seconds,
        "ratio": multigrid_seconds / seconds,
    }


def most_iterations(result: Result) -> int:
    assert result.report is not None
    return max(step.iterations for step in result.report.steps)


def main() -> None:
    options = read_options(__doc__, PARTS)
    torch.set_num_threads(1)
    simulate(HexMesh.from_mask(np.ones((6, 6, 6)), 1.0), Process(METAL))  # compiles the loops
    measure_all(measure, options, {})


if __name__ == "__main__":
    main()
