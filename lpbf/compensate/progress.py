"""Estimate and progress of a compensation's simulations on the terminal."""

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace

import numpy as np

from lpbf.compensate.simulator import OnStep
from lpbf.core.mesh import HexMesh
from lpbf.core.process import Process
from lpbf.simulate.build_progress import BuildProgress
from lpbf.simulate.estimate import Estimate, check_memory, estimate_build


class CompensationProgress(ExitStack):
    """Prints the estimate of all simulations, and shows their progress with the time left.

    :meth:`begin` is the ``on_builds`` of :func:`lpbf.compensate`.

    Args:
        name: The part, in messages.
    """

    def __init__(self, name: str) -> None:
        super().__init__()
        self._name = name

    def begin(self, meshes: Sequence[HexMesh], process: Process) -> OnStep:
        """Print the estimate, refuse what the memory does not hold, and show the bar.

        Raises:
            PartError: If a simulation needs more memory than there is.
        """
        estimates = [estimate_build(mesh, process) for mesh in meshes]
        for mesh, estimate in zip(meshes, estimates, strict=True):
            check_memory(estimate, mesh, process.voxel_size, self._name)
        whole = join_estimates(estimates)
        count = "1 simulation" if len(meshes) == 1 else f"{len(meshes)} simulations"
        print(f"estimate of {count}: {whole}", flush=True)
        progress = self.enter_context(BuildProgress(whole))
        sizes = [len(estimate.steps) for estimate in estimates]

        def on_step(number: int, done: int, total: int, name: str) -> None:
            before = sum(sizes[:number])
            shown = name if len(sizes) == 1 else f"simulation {number + 1}, {name}"
            # The pre-deformed surface may have another number of layers.
            progress(before + min(done, sizes[number]), total, shown)
            if done == total:
                progress.pause()

        return on_step


def join_estimates(estimates: Sequence[Estimate]) -> Estimate:
    """Estimate of builds one after the other; the heat of later ones is in their first step."""
    first, *others = estimates
    later = [
        np.concatenate([[one.heat + one.steps[0]], one.steps[1:]]) if len(one.steps) else one.steps
        for one in others
    ]
    return replace(
        first,
        steps=np.concatenate([first.steps, *later]),
        memory=max(one.memory for one in estimates),
        num_cells=max(one.num_cells for one in estimates),
    )
