"""Plastic state of the cells of a part, and their forces in a step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lpbf.core.threads import one_thread
from lpbf.mechanics.plastic_element import PlasticElement, YieldedCells
from lpbf.mechanics.return_mapping import von_mises_stress

# Cells per chunk: on the CPU their stresses stay in the cache, on other devices the memory is
# bounded.
_CHUNK = 2048
_CHUNK_ON_DEVICE = 65_536


@dataclass(frozen=True)
class Increment:
    """Load increment of the cells.

    Attributes:
        nodes: Nodes of the active cells, [n, 8].
        eigenstrain: Increment of the eigenstrain, [n, 6].
        yield_stress: Initial yield stress of each cell, MPa, infinite for elastic cells, [n].
        modes: Amplitudes of the incompatible modes beyond the elastic ones, [m, n]. Each evaluation
            overwrites them, as the initial guess of the next.
    """

    nodes: Tensor
    eigenstrain: Tensor
    yield_stress: Tensor
    modes: Tensor


class PlasticCells:
    """Stress, plastic strain and equivalent plastic strain at the Gauss points of all cells.

    A cell is activated free of stress on the deformed part. Since the elasticity is constant, the
    stress at its Gauss points represents all deformation since then.

    Args:
        element: The brick.
        factor: Factor on each cell's stiffness, [E]; None for 1. Stresses are stored without it.
        num_cells: E.
        device: Device of the tensors.
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

    def extract(self, cells: Tensor) -> "PlasticCells":
        """Copy of the state of some cells."""
        factor = None if self.factor is None else self.factor[cells]
        part = PlasticCells(self.element, factor, 0, self.stress.device)
        part.stress = self.stress[:, cells]
        part.plastic_strain = self.plastic_strain[:, cells]
        part.equivalent = self.equivalent[:, cells]
        return part

    def internal_force(self, nodes: Tensor, cells: slice, size: int) -> Tensor:
        """Nodal forces [size, 3] of the stress in ``cells``, with their ``nodes`` [n, 8]."""
        force = self.stress.new_zeros(size, 3)
        self._add_force(force, nodes, self.stress[:, cells], cells)
        return force

    def force(self, increment: Increment, du: Tensor) -> tuple[Tensor, list[YieldedCells]]:
        """Nodal forces [size, 3] after the displacement increment du [size, 3], and the cells that
        yield."""
        return self._evaluate(increment, du)

    def commit(self, increment: Increment, du: Tensor) -> None:
        """Update the state to the one after the displacement increment du."""
        self._evaluate(increment, du, commit=True)

    @one_thread()
    def _evaluate(
        self, increment: Increment, du: Tensor, commit: bool = False
    ) -> tuple[Tensor, list[YieldedCells]]:
        hardening = self.element.hardening
        count = len(increment.nodes)
        chunk = _CHUNK if du.device.type == "cpu" else _CHUNK_ON_DEVICE
        force, all_yielded = torch.zeros_like(du), []
        for start in range(0, count, chunk):
            part = slice(start, min(start + chunk, count))
            nodes, yield_stress = increment.nodes[part], increment.yield_stress[part]
            known = torch.cat([du[nodes].flatten(1), increment.eigenstrain[part]], dim=1)
            stress = torch.addmm(self.stress[:, part], self.element.trial, known.T)
            limit = yield_stress + hardening.stress(self.equivalent[:, part])
            yields = (von_mises_stress(stress.view(6, 8, -1)) > limit).any(0)
            index = yields.nonzero().flatten()
            if len(index):
                cells = index + start
                yielded = self.element.return_stress(
                    stress[:, index],
                    self.equivalent[:, cells],
                    yield_stress[index],
                    cells,
                    increment.modes[:, cells],
                )
                returned = yielded.returned
                stress[:, index] = returned.stress.flatten(0, 1)
                increment.modes[:, cells] = yielded.modes
                all_yielded.append(yielded)
                if commit:
                    self.plastic_strain[:, cells] += returned.plastic_strain.flatten(0, 1)
                    self.equivalent[:, cells] += returned.plastic
            if commit:
                self.stress[:, part] = stress
            self._add_force(force, nodes, stress, part)
        return force, all_yielded

    def _add_force(self, force: Tensor, nodes: Tensor, stress: Tensor, cells: slice) -> None:
        nodal = stress.T @ self.element.force
        if self.factor is not None:
            nodal *= self.factor[cells, None]
        force.index_add_(0, nodes.flatten(), nodal.view(-1, 3))
