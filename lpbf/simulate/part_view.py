"""The part's share of a state that was computed with plate, supports and powder."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from lpbf.core.mesh import HexMesh
from lpbf.core.result import LayerState, ReleaseState
from lpbf.core.stress import von_mises
from lpbf.core.support_cells import support_mesh
from lpbf.core.support_state import SupportState
from lpbf.mechanics.build import PLATE, Build
from lpbf.mechanics.build_steps import BuildStep
from lpbf.simulate.run_steps import BuildState


def nodal_mean(cells: NDArray[np.int64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean of cell values [n] or [n, c] over the cells [n, 8] around each node, [N] or [N, c].

    N is the highest node number plus one; nodes without a cell have zero.
    """
    nodes = cells.ravel()
    counts = np.maximum(np.bincount(nodes), 1)
    columns = values.reshape(len(cells), -1).T
    sums = [np.bincount(nodes, weights=np.repeat(column, 8)) for column in columns]
    return (np.stack(sums, axis=1) / counts[:, None]).reshape(-1, *values.shape[1:])


def remaining_mean(
    cells: NDArray[np.int64], values: NDArray[np.float64], removed: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Mean as of :func:`nodal_mean` without removed cells, or over these at their own nodes."""
    out = nodal_mean(cells, values)
    if removed.any():
        left = cells[~removed]
        nodes = np.unique(left)
        out[nodes] = nodal_mean(left, values[~removed])[nodes]
    return out


def built(build: Build, with_plate: bool = False) -> tuple[Build, NDArray[np.bool_]]:
    """Part and supports as a build of one layer, without inherent strain and clamped nodes.

    Args:
        build: The part in layers.
        with_plate: Whether its elastic plate stays in it.

    Returns:
        The build, and which of the cells are in it, [E].
    """
    kept, mesh = build.is_solid, build.solid
    if with_plate:
        kept = kept | (build.cell_kind == PLATE)
        mask = np.zeros_like(build.mesh.mask)
        mask[tuple(build.mesh.cell_index[kept].T)] = True
        mesh = HexMesh(mask, build.mesh.spacing, build.mesh.origin)
    one = replace(
        build,
        mesh=mesh,
        cell_kind=build.cell_kind[kept],
        cell_stiffness=_factors(build, kept),
        cell_layer=np.zeros(mesh.num_cells, dtype=np.int64),
        node_layer=np.zeros(mesh.num_nodes, dtype=np.int64),
        layer_strain=np.zeros((1, 6)),
        rows_per_layer=mesh.mask.shape[2],
    )
    return one, kept


def remaining_build(build: Build, left: NDArray[np.bool_]) -> Build:
    """The voxels that are left of a build of one layer, [E]."""
    mask = build.mesh.mask.copy()
    mask[tuple(build.mesh.cell_index[~left].T)] = False
    mesh = HexMesh(mask, build.mesh.spacing, build.mesh.origin)
    supported = bool(build.is_support[left].any())
    return replace(
        build,
        part=mesh,
        mesh=mesh,
        cell_kind=build.cell_kind[left],
        cell_stiffness=_factors(build, left),
        cell_layer=build.cell_layer[left],
        node_layer=np.zeros(mesh.num_nodes, dtype=np.int64),
        support_brick=build.support_brick if supported else None,
    )


def _factors(build: Build, cells: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """Factors on the stiffness of some cells; None if all are 1."""
    if build.cell_stiffness is None or (build.cell_stiffness[cells] == 1).all():
        return None
    return build.cell_stiffness[cells]


class PartView:
    """Fields of the part in a computed state, in the part's order of nodes and cells.

    Attributes:
        nodes: The part's nodes in the mesh of part and supports, [N].
        cells: The part's cells in that mesh, [E].
    """

    def __init__(self, build: Build):
        self.build = build
        self.nodes = np.searchsorted(build.solid_nodes, build.part_nodes)
        self.cells = np.flatnonzero(build.is_part[build.is_solid])
        self._cell_layer = build.cell_layer[build.is_part]
        # Powder may activate a node before a solid does, whose displacement starts later.
        self._in_powder_first = build.solid_node_layer > np.maximum(
            build.node_layer[build.solid_nodes], 0
        )
        height = build.part.cell_index[:, 2]
        self._top_nodes = [
            np.unique(build.part.cells[(self._cell_layer == n) & (height == rows), 4:])
            for n in range(build.num_layers)
            for rows in [height[self._cell_layer == n].max(initial=-1)]
        ]

    def solid_displacement(self, state: BuildState) -> NDArray[np.float64]:
        """Displacement of each node of part and supports since their first layer there, mm."""
        nodes = self.build.solid_nodes
        total = state.displacement.cpu().numpy()[nodes]
        before = state.at_activation.cpu().numpy()[nodes]
        return total - np.where(self._in_powder_first[:, None], before, 0.0)

    def displacement(self, state: BuildState) -> NDArray[np.float64]:
        """Displacement of each node of the part since the first layer there, [N, 3], mm."""
        return self.solid_displacement(state)[self.nodes]

    def of_part(self, state: ReleaseState) -> ReleaseState:
        """The part's share of a step of the release of part and supports."""
        return replace(
            state,
            displacement=state.displacement[self.nodes],
            on_plate=state.on_plate[self.nodes],
            removed=state.removed[self.cells],
        )

    def support_state(
        self,
        on_plate: NDArray[np.float64] | None,
        displacement: NDArray[np.float64],
        fields: dict[str, NDArray[np.float64]],
    ) -> SupportState:
        """State of the supports, from that of part and supports.

        Args:
            on_plate: Displacement before the release, [Ns, 3], mm; None without a release.
            displacement: Before the supports are taken off, or at the end, [Ns, 3], mm.
            fields: Fields of the voxels by name, [Es] or [Es, C].
        """
        mesh = support_mesh(self.build.part)
        assert mesh is not None
        nodes = mesh.nodes_in(self.build.solid)
        cells = self.build.is_support[self.build.is_solid]
        return SupportState(
            mesh=mesh,
            displacement=displacement[nodes],
            displacement_on_plate=None if on_plate is None else on_plate[nodes],
            fields={name: nodal_mean(mesh.cells, values[cells]) for name, values in fields.items()},
        )

    def top_rise(self, layer: int, state: BuildState) -> float:
        """Largest z displacement of a layer's top nodes, mm; NaN for a layer without cells."""
        top = self._top_nodes[layer]
        return float(self.displacement(state)[top, 2].max()) if len(top) else float("nan")

    def begins_by(self, step: BuildStep) -> bool:
        """Whether the part has cells after a step, and not its supports alone."""
        return step.layer is None or step.layer >= self._cell_layer[0]

    def layer_state(
        self, step: BuildStep, state: BuildState, stress: Tensor, temperature: Tensor | float
    ) -> LayerState:
        """State of the part after a step.

        Args:
            step: The step.
            state: State after it.
            stress: Stress of the active cells, [n, 6], MPa.
            temperature: Temperature of the part's active cells, or one for all.
        """
        build = self.build
        layer = build.num_layers - 1 if step.layer is None else step.layer
        num_cells = int(np.searchsorted(self._cell_layer, layer, side="right"))
        cells = build.part.cells[:num_cells]
        num_nodes = int(cells.max()) + 1
        part_stress = stress.cpu().numpy()[build.is_part[: len(stress)]]
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
            von_mises=von_mises(nodal_mean(cells, part_stress)).astype(np.float32),
            temperature=temperatures.astype(np.float32),
        )

    def released_state(
        self, state: ReleaseState, stress: NDArray[np.float64], temperature: NDArray[np.float64]
    ) -> LayerState:
        """State of the part after a step of its release.

        Args:
            state: State after it.
            stress: Stress of the part's cells, [E, 6], MPa.
            temperature: Temperature at the part's nodes, [N], degrees Celsius.
        """
        part = self.build.part
        return LayerState(
            layer=self.build.num_layers - 1,
            name=state.name,
            height=float(part.mask.shape[2] * part.spacing[2]),
            num_cells=part.num_cells,
            num_nodes=part.num_nodes,
            displacement=state.displacement.astype(np.float32),
            von_mises=von_mises(remaining_mean(part.cells, stress, state.removed)).astype(
                np.float32
            ),
            temperature=temperature.astype(np.float32),
            removed=state.removed if state.removed.any() else None,
        )
