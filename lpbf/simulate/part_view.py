"""The part's share of what was computed together with its plate and powder."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lpbf.core.result import LayerState
from lpbf.core.stress import von_mises
from lpbf.mechanics.build import Build
from lpbf.mechanics.steps import Step
from lpbf.simulate.run_steps import BuildState


def nodal_mean(cells: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of cell values [n] or [n, c] over the cells [n, 8] around each node, [N] or [N, c].

    N is the highest node's number plus one; nodes without a cell have zero.
    """
    nodes = cells.ravel()
    owners = np.maximum(np.bincount(nodes), 1)
    columns = values.reshape(len(cells), -1).T
    sums = [np.bincount(nodes, weights=np.repeat(column, 8)) for column in columns]
    return (np.stack(sums, axis=1) / owners[:, None]).reshape(-1, *values.shape[1:])


def part_build(build: Build) -> Build:
    """The part alone, all of it standing: one layer without strain, nothing clamped."""
    part = build.part
    return replace(
        build,
        mesh=part,
        kind=build.kind[build.is_part],
        cell_stiffness=None,
        cell_layer=np.zeros(part.num_cells, dtype=np.int64),
        node_layer=np.zeros(part.num_nodes, dtype=np.int64),
        layer_strain=np.zeros((1, 6)),
        rows_per_layer=part.mask.shape[2],
    )


class PartView:
    """What of a computed state belongs to the part, in the part's own order of nodes."""

    def __init__(self, build: Build):
        self.build = build
        self._cell_layer = build.cell_layer[build.is_part]
        # Powder may own a node before the part does; its movement until then is not the part's.
        self._adopted = build.part_node_layer > np.maximum(build.node_layer[build.part_nodes], 0)
        height = build.part.cell_index[:, 2]
        self._tops = [
            np.unique(build.part.cells[(self._cell_layer == n) & (height == rows), 4:])
            for n in range(build.num_layers)
            for rows in [height[self._cell_layer == n].max(initial=-1)]
        ]

    def displacement(self, state: BuildState) -> NDArray[np.float64]:
        """Of each node since the part's first layer there, [N, 3], mm."""
        nodes = self.build.part_nodes
        total, born = state.total.cpu().numpy()[nodes], state.born.cpu().numpy()[nodes]
        return total - np.where(self._adopted[:, None], born, 0.0)

    def rise_of_top(self, layer: int, state: BuildState) -> float:
        """How far the highest point of a layer's top rose over its plane so far, mm."""
        top = self._tops[layer]
        return float(self.displacement(state)[top, 2].max()) if len(top) else float("nan")

    def layer_state(
        self, step: Step, state: BuildState, stress: Tensor, temperature: Tensor | float
    ) -> LayerState:
        """The part as it stands after a step.

        Args:
            step: The step.
            state: After it.
            stress: Of the standing cells, [n, 6], MPa.
            temperature: Of the part's standing cells, or of all of them.
        """
        build = self.build
        layer = build.num_layers - 1 if step.layer is None else step.layer
        num_cells = int(np.searchsorted(self._cell_layer, layer, side="right"))
        cells = build.part.cells[:num_cells]
        num_nodes = int(cells.max()) + 1
        own = stress.cpu().numpy()[build.is_part[: len(stress)]]
        if isinstance(temperature, Tensor):
            temperatures = nodal_mean(cells, temperature.cpu().numpy())
        else:
            temperatures = np.full(num_nodes, temperature)
        rows = build.part.cell_index[num_cells - 1, 2] + 1
        return LayerState(
            layer=layer,
            name=step.name,
            height=float(rows * build.part.spacing[2]),
            num_cells=num_cells,
            num_nodes=num_nodes,
            displacement=self.displacement(state)[:num_nodes].astype(np.float32),
            von_mises=von_mises(nodal_mean(cells, own)).astype(np.float32),
            temperature=temperatures.astype(np.float32),
        )
