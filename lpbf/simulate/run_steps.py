"""Sequential solution of the steps of a build."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from lpbf.core.report import StepReport
from lpbf.mechanics.build import Build
from lpbf.mechanics.build_steps import BuildStep, Stepper
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.solve.grid import Grid


@dataclass
class BuildState:
    """State of part, plate and powder during the build.

    Attributes:
        displacement: Displacement of each node since its activation, [N, 3], mm.
        at_activation: Displacement right after the step that activated the node, [N, 3], mm.
        reports: Reports of the steps.
    """

    displacement: Tensor
    at_activation: Tensor
    reports: list[StepReport] = field(default_factory=list)


def run_steps(
    build: Build,
    steps: Iterable[BuildStep],
    stepper: Stepper,
    equilibrium: Equilibrium,
    on_step: Callable[[BuildStep, BuildState], None] | None = None,
) -> BuildState:
    """Activate the layers, solve each step, and sum the displacements.

    Args:
        build: The part in layers.
        steps: Steps in their order.
        stepper: The material law.
        equilibrium: Equilibrium without active layers.
        on_step: Called after each step.

    Raises:
        SolverError: If a step does not converge.
    """
    device = equilibrium.device
    node_layer = torch.from_numpy(build.node_layer).to(device)
    # Node one layer below each node; N where there is none.
    grid = Grid.from_cells(build.mesh.cell_index)
    index = grid.find_nodes(grid.node_index - np.array([0, 0, build.rows_per_layer]))
    below = torch.from_numpy(index).to(device).long()
    zeros = torch.zeros(len(node_layer) + 1, 3, dtype=torch.float64, device=device)
    state = BuildState(zeros[:-1].clone(), zeros[:-1].clone())
    previous = zeros
    for step in steps:
        if step.layer is not None and step.activates:
            equilibrium.activate_layer(step.layer)
        equilibrium.scale_stiffness(step.stiffness)
        size = equilibrium.size
        # Initial guesses: the last increment, and the same moved up by a layer.
        start = torch.stack([previous[:size], previous[below[:size]]])
        increment, report = stepper.solve(step, equilibrium, start)
        previous[:size] = increment
        state.displacement[:size] += increment
        if step.stress_free_strain:
            # About the centre of the part's bottom.
            low, high = build.part.points.min(axis=0), build.part.points.max(axis=0)
            centre = np.append((low[:2] + high[:2]) / 2, low[2])
            points = torch.from_numpy(build.mesh.points - centre).to(device)
            state.displacement[:size] += step.stress_free_strain * points[:size]
        if step.layer is not None:
            new = node_layer == step.layer
            state.at_activation[new] = state.displacement[new]
        state.reports.append(report)
        if on_step is not None:
            on_step(step, state)
    return state
