"""The plastic state of the cells of a part, and their forces and tangents in a step."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lpbf.core.threads import one_thread
from lpbf.mechanics.plastic_element import Flow, PlasticElement
from lpbf.mechanics.return_mapping import von_mises_stress

# Cells whose stresses are handled at a time on the CPU, so that they stay in the cache.
_CHUNK = 2048
# On other devices, so that many cells need no more memory than a few.
_CHUNK_ON_DEVICE = 65_536


@dataclass(frozen=True)
class Increment:
    """What a step does to the cells.

    Attributes:
        nodes: Of the standing cells, [n, 8].
        eigenstrain: [n, 6].
        yield_stress: Initial yield stress of each cell, MPa, infinite where it stays elastic, [n].
        modes: Amplitudes of the incompatible modes beyond the elastic ones, [m, n]; written with
            each evaluation, as the start of the next.
    """

    nodes: Tensor
    eigenstrain: Tensor
    yield_stress: Tensor
    modes: Tensor


class PlasticCells:
    """Stress, plastic strain and equivalent plastic strain at the Gauss points of all cells.

    A cell is born free of stress on the part as it has deformed so far. As elasticity does not
    change, the stress at its Gauss points is the whole memory of its deformation since then.

    Args:
        element: The brick.
        factor: On each cell's stiffness, [E], or None. Stresses are kept without it.
        num_cells: E.
        device: Where the tensors live.
    """

    def __init__(
        self,
        element: PlasticElement,
        factor: Tensor | None,
        num_cells: int,
        device: str | torch.device = "cpu",
    ):
        self.element, self.factor = element, factor
        options = {"dtype": torch.float64, "device": torch.device(device)}
        self.stress = torch.zeros(48, num_cells, **options)
        self.plastic_strain = torch.zeros(48, num_cells, **options)
        self.equivalent = torch.zeros(8, num_cells, **options)

    def keep(self, cells: Tensor) -> "PlasticCells":
        """The state of some cells by themselves."""
        factor = None if self.factor is None else self.factor[cells]
        kept = PlasticCells(self.element, factor, 0, self.stress.device)
        kept.stress = self.stress[:, cells]
        kept.plastic_strain = self.plastic_strain[:, cells]
        kept.equivalent = self.equivalent[:, cells]
        return kept

    def internal_force(self, nodes: Tensor, cells: slice, size: int) -> Tensor:
        """Nodal forces [size, 3] of the stress in ``cells``, whose nodes are ``nodes`` [n, 8]."""
        force = self.stress.new_zeros(size, 3)
        self._add_force(force, nodes, self.stress[:, cells], cells)
        return force

    def force(self, step: Increment, du: Tensor) -> tuple[Tensor, list[Flow]]:
        """Nodal forces [size, 3] after the increment du [size, 3], and the cells that flow."""
        return self._evaluate(step, du, None)

    def commit(self, step: Increment, du: Tensor) -> None:
        """Makes the state that after the increment du."""

        def write(part: slice, stress: Tensor, flow: Flow | None) -> None:
            self.stress[:, part] = stress
            if flow is not None:
                strain = flow.returned.plastic_strain.flatten(0, 1)
                self.plastic_strain.index_add_(1, flow.cells, strain)
                self.equivalent.index_add_(1, flow.cells, flow.returned.plastic)

        self._evaluate(step, du, write)

    @one_thread()
    def _evaluate(
        self,
        step: Increment,
        du: Tensor,
        write: Callable[[slice, Tensor, Flow | None], None] | None,
    ) -> tuple[Tensor, list[Flow]]:
        hardening = self.element.hardening
        count = len(step.nodes)
        chunk = _CHUNK if du.device.type == "cpu" else _CHUNK_ON_DEVICE
        force, flows = torch.zeros_like(du), []
        for start in range(0, count, chunk):
            part = slice(start, min(start + chunk, count))
            nodes, yield_stress = step.nodes[part], step.yield_stress[part]
            known = torch.cat([du[nodes].flatten(1), step.eigenstrain[part]], dim=1)
            stress = torch.addmm(self.stress[:, part], self.element.trial, known.T)
            limit = yield_stress + hardening.stress(self.equivalent[:, part])
            over = (von_mises_stress(stress.view(6, 8, -1)) > limit).any(0)
            index = over.nonzero().flatten()
            flow = None
            if len(index):
                cells = index + start
                flow = self.element.flow(
                    stress[:, index],
                    self.equivalent[:, cells],
                    yield_stress[index],
                    cells,
                    step.modes[:, cells],
                )
                stress[:, index] = flow.returned.stress.flatten(0, 1)
                step.modes[:, cells] = flow.modes
                flows.append(flow)
            if write is not None:
                write(part, stress, flow)
            self._add_force(force, nodes, stress, part)
        return force, flows

    def _add_force(self, force: Tensor, nodes: Tensor, stress: Tensor, cells: slice) -> None:
        nodal = stress.T @ self.element.force
        if self.factor is not None:
            nodal *= self.factor[cells, None]
        force.index_add_(0, nodes.flatten(), nodal.view(-1, 3))
