"""The steps of a build one after the other."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lpbf.core.report import StepReport
from lpbf.mechanics.build import Build
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.steps import Step, Stepper
from lpbf.solve.grid import Grid


@dataclass
class BuildState:
    """The computed mesh as it stands.

    Attributes:
        total: Displacement of each node since its first layer was added, [N, 3], mm.
        born: The same right after the step of that layer, [N, 3], mm.
        reports: Of the steps.
    """

    total: Tensor
    born: Tensor
    reports: list[StepReport] = field(default_factory=list)


def run_steps(
    build: Build,
    steps: Iterable[Step],
    stepper: Stepper,
    equilibrium: Equilibrium,
    on_step: Callable[[Step, BuildState], None] | None = None,
) -> BuildState:
    """Adds the layers, solves each step, and sums the displacements.

    Args:
        build: The part in layers.
        steps: In their order.
        stepper: The material's law.
        equilibrium: Nothing stands in it yet.
        on_step: Called after each step.

    Raises:
        SolverError: If a step does not converge.
    """
    device = equilibrium.device
    node_layer = torch.from_numpy(build.node_layer).to(device)
    lower = torch.from_numpy(_node_one_layer_below(build)).to(device)
    zeros = torch.zeros(len(node_layer) + 1, 3, dtype=torch.float64, device=device)
    state = BuildState(zeros[:-1].clone(), zeros[:-1].clone())
    previous = zeros
    for step in steps:
        if step.layer is not None:
            equilibrium.add_layer(step.layer)
        size = equilibrium.size
        # A layer does what the one below it did, or what it did itself: the best of both.
        start = torch.stack([previous[:size], previous[lower[:size]]])
        increment, report = stepper.solve(step, equilibrium, start)
        previous[:size] = increment
        state.total[:size] += increment
        if step.shared_strain:
            points = torch.from_numpy(build.mesh.points - _foot(build)).to(device)
            state.total += step.shared_strain * points
        if step.layer is not None:
            new = node_layer == step.layer
            state.born[new] = state.total[new]
        state.reports.append(report)
        if on_step is not None:
            on_step(step, state)
    return state


def _foot(build: Build) -> np.ndarray:
    """Middle of the part where it stands on its plate, [3], mm."""
    points = build.part.points
    low, high = points.min(axis=0), points.max(axis=0)
    return np.append((low[:2] + high[:2]) / 2, low[2])


def _node_one_layer_below(build: Build) -> np.ndarray:
    """The node one layer below each node, [N]; N where there is none."""
    grid = Grid.of_cells(build.mesh.cell_index)
    return grid.find(grid.node_index - np.array([0, 0, build.rows_per_layer])).astype(np.int64)
