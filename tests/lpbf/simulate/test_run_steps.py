import numpy as np
import pytest
import torch

from lpbf import HexMesh, Process, SolverError
from lpbf.core.report import StepReport
from lpbf.mechanics.build import CLAMPED, make_build
from lpbf.mechanics.build_steps import BuildStep
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.simulate.run_steps import run_steps


class RecordingStepper:
    """Stepper that returns random increments and records its arguments."""

    def __init__(self, fails_at=None):
        self.generator = torch.Generator().manual_seed(0)
        self.starts, self.increments, self.sizes, self.fails_at = [], [], [], fails_at

    def solve(self, step, equilibrium, start=None):
        if step.name == self.fails_at:
            raise SolverError(f"{step.name}: did not converge")
        size = equilibrium.size
        assert len(equilibrium.cells) == len(step.eigenstrain)
        u = torch.randn(size, 3, generator=self.generator, dtype=torch.float64)
        u *= equilibrium.free[:, None]
        self.starts.append(start.clone())
        self.increments.append(u.clone())
        self.sizes.append(size)
        return u, StepReport(step.name, 1, 0.0, 0, 0.0)


@pytest.fixture
def build():
    mask = np.ones((3, 2, 6), dtype=bool)
    mask[2, :, :4] = False
    mask[1, 1, 3:] = False
    return make_build(HexMesh.from_mask(mask, 1.0), Process(layer_height=2.0))


def steps_of(build):
    ends = [build.layer_cells(n).stop for n in range(build.num_layers)]
    steps = [BuildStep(n, f"layer {n}", torch.zeros(end, 6)) for n, end in enumerate(ends)]
    return [*steps, BuildStep(None, "cooling", torch.zeros(ends[-1], 6))]


def padded(u, count):
    return torch.nn.functional.pad(u, (0, 0, 0, count - len(u)))


def test_displacements_are_summed_from_each_nodes_first_layer(build):
    stepper, seen = RecordingStepper(), []
    count = build.mesh.num_nodes

    def on_step(step, state):
        seen.append((step.name, state.displacement.clone(), len(state.reports)))

    state = run_steps(build, steps_of(build), stepper, Equilibrium(build), on_step)
    names = ["layer 0", "layer 1", "layer 2", "cooling"]
    assert [report.name for report in state.reports] == names
    assert [(name, reports) for name, _, reports in seen] == [
        (name, n + 1) for n, name in enumerate(names)
    ]
    increments = [padded(u, count) for u in stepper.increments]
    for (_, displacement, _), n in zip(seen, range(1, 5), strict=True):
        torch.testing.assert_close(displacement, sum(increments[:n]))
    layer = torch.from_numpy(build.node_layer)
    assert (state.displacement[layer == CLAMPED] == 0).all()
    for n in range(3):
        # Zero before the layer that activates a node.
        assert (seen[n][1][layer > n] == 0).all()
        own = layer == n
        torch.testing.assert_close(state.at_activation[own], increments[n][own])
    assert (state.at_activation[layer == CLAMPED] == 0).all()


def test_initial_guesses_are_the_last_increment_here_and_one_layer_below(build):
    stepper = RecordingStepper()
    run_steps(build, steps_of(build), stepper, Equilibrium(build))
    points, count = build.mesh.points, build.mesh.num_nodes
    number = {tuple(p): n for n, p in enumerate(points.tolist())}
    assert (stepper.starts[0] == 0).all()
    for n in range(1, 4):
        size, before = stepper.sizes[n], padded(stepper.increments[n - 1], count)
        start = stepper.starts[n]
        assert start.shape == (2, size, 3)
        assert torch.equal(start[0], before[:size])
        for node in range(size):
            x, y, z = points[node].tolist()
            below = number.get((x, y, z - 2.0))
            expected = torch.zeros(3).double() if below is None else before[below]
            assert torch.equal(start[1, node], expected)


def test_a_failure_passes_through(build):
    seen = []
    with pytest.raises(SolverError, match="layer 1"):
        run_steps(
            build,
            steps_of(build),
            RecordingStepper(fails_at="layer 1"),
            Equilibrium(build),
            lambda step, state: seen.append(step.name),
        )
    assert seen == ["layer 0"]
