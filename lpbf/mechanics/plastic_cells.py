"""Plastic state of the cells of a part, and their forces in a step."""

from dataclasses import dataclass

import torch
from torch import Tensor

from lpbf.core.threads import one_thread, over_chunks
from lpbf.mechanics.plastic_element import PlasticElement, YieldedCells
from lpbf.mechanics.plastic_hardening import Hardening
from lpbf.mechanics.return_mapping import von_mises_stress

# Cells per chunk: on the CPU so many that the calls of operations cost little, but enough chunks of
# a large part for the cores; on other devices the memory is bounded.
_CHUNK = 8192
_CHUNK_ON_DEVICE = 65_536


@dataclass(frozen=True)
class Increment:
    """Load increment of the cells.

    Attributes:
        nodes: Nodes of the active cells, [n, 8].
        eigenstrain: Increment of the eigenstrain, [n, 6].
        yield_stress: Initial yield stress of each cell, MPa, infinite for elastic cells, [n].
        hardening: Hardening of the cells.
        factor: Factor on each cell's stiffness after the increment, [n]; None for 1.
        modes: Amplitudes of the incompatible modes beyond the elastic ones, [m, n]. Each evaluation
            overwrites them, as the initial guess of the next.
    """

    nodes: Tensor
    eigenstrain: Tensor
    yield_stress: Tensor
    hardening: Hardening
    factor: Tensor | None
    modes: Tensor


class PlasticCells:
    """Stress, plastic strain and equivalent plastic strain at the Gauss points of all cells.

    A cell is activated free of stress on the deformed part. Its stress is stored without the factor
    on its stiffness: this is the elastic strain times a constant elasticity, and represents all
    deformation since then, also while the factor changes with the temperature. Yield stress and
    hardening are those of the stored stress.

    Args:
        element: The brick.
        factor: Factor on each cell's stiffness, [E]; None for 1.
        num_cells: E.
        device: Device of the tensors.
        support: The brick of supports, whose stresses are stored as those of its isotropic
            material.
        is_support: Which cells are supports, [E]; None for none.
    """

    def __init__(
        self,
        element: PlasticElement,
        factor: Tensor | None,
        num_cells: int,
        device: str | torch.device = "cpu",
        support: PlasticElement | None = None,
        is_support: Tensor | None = None,
    ):
        self.element, self.factor = element, factor
        self.support, self.is_support = support, is_support
        options = {"dtype": torch.float64, "device": torch.device(device)}
        self.stress = torch.zeros(48, num_cells, **options)
        self.plastic_strain = torch.zeros(48, num_cells, **options)
        self.equivalent = torch.zeros(8, num_cells, **options)

    def extract(self, cells: Tensor) -> "PlasticCells":
        """Copy of the state of some cells."""
        factor = None if self.factor is None else self.factor[cells]
        part = PlasticCells(self.element, factor, 0, self.stress.device)
        if self.is_support is not None and bool(self.is_support[cells].any()):
            part.support, part.is_support = self.support, self.is_support[cells]
        part.stress = self.stress[:, cells]
        part.plastic_strain = self.plastic_strain[:, cells]
        part.equivalent = self.equivalent[:, cells]
        return part

    def internal_force(self, nodes: Tensor, cells: slice, size: int) -> Tensor:
        """Nodal forces [size, 3] of the stress in ``cells``, with their ``nodes`` [n, 8]."""
        nodal = self.stress.new_empty(len(nodes), 24)
        self._nodal_force(self.stress[:, cells], cells, self.factor, nodal)
        return _sum_at_nodes(nodes, nodal, size)

    def force(self, increment: Increment, du: Tensor) -> tuple[Tensor, list[YieldedCells]]:
        """Nodal forces [size, 3] after the displacement increment du [size, 3], and the cells that
        yield."""
        return self._evaluate(increment, du)

    def commit(self, increment: Increment, du: Tensor) -> None:
        """Update the state to the one after the displacement increment du."""
        self._evaluate(increment, du, commit=True)
        self.factor = increment.factor

    def anneal(self, cells: Tensor) -> None:
        """Set the stress and the plastic strain of the first cells to zero where true, [n]."""
        for state in (self.stress, self.plastic_strain, self.equivalent):
            state[:, : len(cells)].masked_fill_(cells, 0.0)

    def _evaluate(
        self, increment: Increment, du: Tensor, commit: bool = False
    ) -> tuple[Tensor, list[YieldedCells]]:
        count = len(increment.nodes)
        nodal = du.new_empty(count, 24)
        found: dict[int, list[YieldedCells]] = {}

        def evaluate(start: int, stop: int) -> None:
            part = slice(start, stop)
            stress, yielded = self._return(increment, du, part, commit)
            if commit:
                self.stress[:, part] = stress
            found[start] = yielded
            self._nodal_force(stress, part, increment.factor, nodal[part])

        chunk = _CHUNK if du.device.type == "cpu" else _CHUNK_ON_DEVICE
        over_chunks(count, chunk, evaluate)
        force = _sum_at_nodes(increment.nodes, nodal, len(du))
        return force, [yielded for start in sorted(found) for yielded in found[start]]

    def _return(
        self, increment: Increment, du: Tensor, part: slice, commit: bool
    ) -> tuple[Tensor, list[YieldedCells]]:
        """Stress [48, n] of a range of cells after the displacement increment, and the cells that
        yield, by their bricks."""
        nodes, yield_stress = increment.nodes[part], increment.yield_stress[part]
        known = torch.cat([du[nodes].flatten(1), increment.eigenstrain[part]], dim=1)
        before = self.stress[:, part]
        stress = torch.addmm(before, self.element.trial, known.T)
        supports = self.supports(part)
        if self.support is not None:
            trial = self.support.trial
            stress[:, supports] = torch.addmm(before[:, supports], trial, known[supports].T)
        hardening = increment.hardening.of_cells(part)
        limit = yield_stress + hardening.stress(self.equivalent[:, part])
        yields = (von_mises_stress(stress.view(6, 8, -1)) > limit).any(0)
        yielding = supports[yields[supports]]
        yields[supports] = False
        found = []
        for element, index in (
            (self.element, yields.nonzero().flatten()),
            (self.support, yielding),
        ):
            if element is None or not len(index):
                continue
            cells = index + part.start
            yielded = element.return_stress(
                stress[:, index],
                self.equivalent[:, cells],
                yield_stress[index],
                hardening.of_cells(index),
                cells,
                increment.modes[:, cells],
            )
            returned = yielded.returned
            stress[:, index] = returned.stress.flatten(0, 1)
            increment.modes[:, cells] = yielded.modes
            if commit:
                self.plastic_strain[:, cells] += returned.plastic_strain.flatten(0, 1)
                self.equivalent[:, cells] += returned.plastic
            found.append(yielded)
        return stress, found

    def supports(self, part: slice) -> Tensor:
        """Supports of a range of cells, by their place in it."""
        if self.is_support is None:
            return torch.empty(0, dtype=torch.long, device=self.stress.device)
        return self.is_support[part].nonzero().flatten()

    def _nodal_force(
        self, stress: Tensor, cells: slice, factor: Tensor | None, out: Tensor
    ) -> None:
        """Write the nodal forces [n, 24] of a range of cells to ``out``."""
        torch.mm(stress.T, self.element.force, out=out)
        if self.support is not None:
            index = self.supports(cells)
            out[index] = stress[:, index].T @ self.support.force
        if factor is not None:
            out *= factor[cells, None]


def _sum_at_nodes(nodes: Tensor, nodal: Tensor, size: int) -> Tensor:
    """Sum of the cells' nodal forces [n, 24] at each node, [size, 3]."""
    with one_thread():  # a fixed order of the sums
        return nodal.new_zeros(size, 3).index_add_(0, nodes.flatten(), nodal.view(-1, 3))
