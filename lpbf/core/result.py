"""Result of a simulation."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.time_collection import write_time_collection
from lpbf.core.mesh import HexMesh
from lpbf.core.report import Report
from lpbf.core.result_files import unit_of, write_hexahedra
from lpbf.core.stress import principal_stress, von_mises
from lpbf.core.support_cells import support_share
from lpbf.core.support_state import SupportState, append_supports

if TYPE_CHECKING:
    from flare_mesh.mesh import MeshData

# Shape of each field at one node.
_SHAPES = {
    "displacement": (3,),
    "stress": (6,),
    "temperature": (),
    "plastic_strain": (6,),
    "equivalent_plastic_strain": (),
    "displacement_on_plate": (3,),
}


@dataclass(frozen=True, eq=False)
class LayerState:
    """The active part after one step of the build.

    Attributes:
        layer: The newest layer.
        name: Name of the step, for instance "layer 3".
        height: Undeformed height above the plate, mm.
        num_cells: Number of active cells, the first of the mesh.
        num_nodes: Number n of active nodes, the first of the mesh.
        displacement: At the active nodes, [n, 3], mm.
        von_mises: At the active nodes, [n], MPa.
        temperature: At the active nodes, [n], degrees Celsius.
        removed: Which of the cells the release has cut away, [num_cells]; None for none. Their own
            nodes have the values from before.
    """

    layer: int
    name: str
    height: float
    num_cells: int
    num_nodes: int
    displacement: NDArray[np.float32]
    von_mises: NDArray[np.float32]
    temperature: NDArray[np.float32]
    removed: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class ReleaseState:
    """The part after one cut of its release.

    Attributes:
        name: Name of the step: "release", or "cut 1" and so on.
        displacement: At the nodes, [N, 3], mm. Nodes of removed voxels alone have their last one.
        on_plate: Nodes that the plate still holds, [N].
        removed: Voxels that have been cut away until then, [E].
    """

    name: str
    displacement: NDArray[np.float64]
    on_plate: NDArray[np.bool_]
    removed: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Result:
    """The finished part.

    Attributes:
        mesh: The voxel mesh of the part, with its supports in :attr:`HexMesh.supports`.
        displacement: At the nodes, [N, 3], mm, since the layer of each node was added; after the
            release from the plate if there is one. Nodes of voxels that a cut removes keep their
            last values, in all fields.
        stress: At the nodes, mean of the adjacent cells, [N, 6], MPa, in the order xx, yy, zz, xy,
            yz, xz (VTK's order of a symmetric tensor).
        temperature: At the nodes, [N], degrees Celsius, after the cooling time; the ambient
            temperature without heat conduction.
        plastic_strain: At the nodes, [N, 6], in the order of the stress with engineering shear
            strains; None for an elastic material.
        equivalent_plastic_strain: At the nodes, [N]; None for an elastic material.
        displacement_on_plate: Before the release, [N, 3], mm; None without a release.
        recoater_clearance: Largest z displacement of each layer's top nodes after its step, [L],
            mm: the rise above the plane of the next layer. NaN for a layer without voxels.
        interlayer_temperature: Mean temperature of each layer before the next one is deposited,
            [L], degrees Celsius; None without heat conduction.
        plate_temperature: Temperature of the plate at the end of each layer's dwell, and after the
            cooling time, [L + 1], degrees Celsius; None if its heat balance is not simulated
            (:attr:`lpbf.Heat.plate_heat_capacity`).
        release: The part after each cut of its release; empty without a release.
        supports: The part's supports; None without.
        build_time: Estimated time of the build, s; None without a machine in the process.
        history: The part after each step; empty unless requested.
        report: Iterations, residuals, time and memory.

    Raises:
        ValueError: If a field does not fit the mesh.
    """

    mesh: HexMesh
    displacement: NDArray[np.float64]
    stress: NDArray[np.float64]
    temperature: NDArray[np.float64]
    plastic_strain: NDArray[np.float64] | None = None
    equivalent_plastic_strain: NDArray[np.float64] | None = None
    displacement_on_plate: NDArray[np.float64] | None = None
    recoater_clearance: NDArray[np.float64] | None = None
    interlayer_temperature: NDArray[np.float64] | None = None
    plate_temperature: NDArray[np.float64] | None = None
    release: tuple[ReleaseState, ...] = ()
    supports: SupportState | None = None
    build_time: float | None = None
    history: tuple[LayerState, ...] = ()
    report: Report | None = None

    def __post_init__(self) -> None:
        for name, components in _SHAPES.items():
            field, shape = getattr(self, name), (self.mesh.num_nodes, *components)
            if field is not None and field.shape != shape:
                raise ValueError(
                    f"Result: expected '{name}' of shape {list(shape)} (got {list(field.shape)})"
                )

    @property
    def points(self) -> NDArray[np.float64]:
        """Coordinates of the nodes, [N, 3], mm."""
        return self.mesh.points

    @property
    def cells(self) -> NDArray[np.int64]:
        """Nodes of each hexahedron in VTK's order, [E, 8]."""
        return self.mesh.cells

    @property
    def removed(self) -> NDArray[np.bool_]:
        """Which voxels the cuts of the release remove, [E]."""
        if not self.release:
            return np.zeros(self.mesh.num_cells, dtype=bool)
        return self.release[-1].removed

    @property
    def remaining_nodes(self) -> NDArray[np.bool_]:
        """Nodes of the voxels that the release leaves, [N]; all others have earlier values."""
        nodes = np.zeros(self.mesh.num_nodes, dtype=bool)
        nodes[self.cells[~self.removed]] = True
        return nodes

    @property
    def part_number(self) -> NDArray[np.int64] | None:
        """Number of the part of each voxel, from 1, [E]; None for a single part."""
        plate = self.mesh.plate
        return None if plate is None else plate.number[tuple(self.mesh.cell_index.T)]

    @property
    def support_share(self) -> NDArray[np.float64] | None:
        """Share of supports in the voxels around each node, [N]; None for a part without them."""
        return None if self.mesh.supports is None else support_share(self.mesh)

    @property
    def von_mises(self) -> NDArray[np.float64]:
        """Equivalent stress at the nodes, [N], MPa."""
        return von_mises(self.stress)

    @property
    def principal_stress(self) -> NDArray[np.float64]:
        """Principal stresses at the nodes, [N, 3], MPa, in descending order."""
        return principal_stress(self.stress)

    @property
    def solver(self) -> str | None:
        """Name of the solver; None without a report."""
        return None if self.report is None else self.report.solver

    @property
    def seconds(self) -> float | None:
        """Wall time of the simulation; None without a report."""
        return None if self.report is None else self.report.seconds

    def to_mesh(self, step: int | None = None) -> "MeshData":
        """The mesh with the fields at its nodes and their units.

        Args:
            step: Number of a step of the history, negative from the last, for the part after that
                step with its displacement, von Mises stress and temperature; None for the finished
                part with all fields.

        Raises:
            ValueError: If the history has no such step.
        """
        import torch

        from flare_mesh.mesh.mesh_data import MeshData

        if step is None:
            points, cells, fields = self.points, self.cells, self._node_fields()
            voxels = self._voxel_fields()
        else:
            points, cells, fields = self._state(self._step(step))
            voxels = {}
        tensors = {name: torch.tensor(values) for name, values in fields.items()}
        tensors |= {f"cell_{name}": torch.tensor(values) for name, values in voxels.items()}
        units = {name: unit_of(name) for name in (*fields, *voxels)}
        hexahedra = torch.tensor(cells)
        return MeshData(torch.tensor(points), hexahedron=hexahedra, units=units, **tensors)

    def _step(self, step: int) -> int:
        count = len(self.history)
        if not count:
            raise ValueError("the result has no history; simulate with history=True")
        if not -count <= step < count:
            raise ValueError(f"expected a step from {-count} to {count - 1} (got {step})")
        return step % count

    def save(self, path: str | Path, *, supports: bool = True) -> None:
        """Write all fields to a mesh file: ``.vtu``, ``.vtk`` or ``.xdmf``, whole or not at all.

        With several cuts, ``displacement_after_cut_1`` and so on precede the last one's
        ``displacement``. If a cut removes voxels, ``removed`` is the number of the cut for each
        voxel, 0 for those that are left. With several parts, ``part`` is the number of each voxel's
        part, from 1. Voxels of supports follow those of the part, with
        ``is_support`` 1 in place of 0; nodes that they do not share with the part have the values
        from before they are taken off. Only ``.vtu`` holds units, the values of the layers, and the
        placement of the part: ``part_rotation`` and ``part_translation`` of
        :class:`lpbf.core.rigid_motion.RigidMotion`.

        Args:
            path: The file.
            supports: Whether the voxels of supports are written, too.

        Raises:
            ValueError: If the file is of another type.
            OSError: If it cannot be written.
        """
        layers = self._given("recoater_clearance", "interlayer_temperature", "plate_temperature")
        if self.mesh.placement is not None:
            layers["part_rotation"] = self.mesh.placement.rotation
            layers["part_translation"] = self.mesh.placement.translation[None]
        if self.mesh.plate is not None:  # one row of nine and one of three for each part
            motions = self.mesh.plate.motions
            layers["part_rotation"] = np.stack([m.rotation.reshape(9) for m in motions])
            layers["part_translation"] = np.stack([m.translation for m in motions])
        points, cells = self.points, self.cells
        fields, voxels = self._node_fields(), self._voxel_fields()
        if supports and self.supports is not None:
            joined = append_supports(self.mesh, self.supports, fields, voxels)
            points, cells, fields, voxels = joined
        write_hexahedra(path, points, cells, fields, layers, voxels)

    def _node_fields(self) -> dict[str, NDArray[np.float64]]:
        fields = self._given("displacement", "von_mises", "stress", "principal_stress")
        fields |= self._given("temperature", "plastic_strain", "equivalent_plastic_strain")
        fields |= self._given("displacement_on_plate", "support_share")
        for state in self.release[:-1]:
            fields[f"displacement_after_{state.name.replace(' ', '_')}"] = state.displacement
        return fields

    def _voxel_fields(self) -> dict[str, NDArray[np.int64]]:
        fields = {}
        if self.part_number is not None:
            fields["part"] = self.part_number
        if self.removed.any():
            removed = np.stack([state.removed for state in self.release])
            fields["removed"] = np.where(removed[-1], removed.argmax(axis=0) + 1, 0)
        return fields

    def _given(self, *names: str) -> dict[str, NDArray[np.float64]]:
        fields = {name: getattr(self, name) for name in names}
        return {name: values for name, values in fields.items() if values is not None}

    def save_series(self, path: str | Path) -> None:
        """Write the history as ``<name>.pvd`` and ``<name>/<name>_0000.vtu`` and so on.

        The time of a file is its number in the history. The ``.pvd`` is written last.

        Raises:
            ValueError: If there is no history, or the path does not end in ``.pvd``.
        """
        if Path(path).suffix.lower() != ".pvd":
            raise ValueError(f"{path}: expected a file of type .pvd (got '{Path(path).suffix}')")
        if not self.history:
            raise ValueError(f"{path}: the result has no history; simulate with history=True")
        write_time_collection(path, range(len(self.history)), self._write_state)

    def _write_state(self, path: Path, number: int) -> None:
        write_hexahedra(path, *self._state(number))

    def _state(
        self, number: int
    ) -> tuple[NDArray[np.float64], NDArray[np.int64], dict[str, NDArray[np.float32]]]:
        """Points, cells and fields of a step of the history."""
        state = self.history[number]
        fields = {n: getattr(state, n) for n in ("displacement", "von_mises", "temperature")}
        points, cells = self.points[: state.num_nodes], self.cells[: state.num_cells]
        if state.removed is not None:
            nodes, left = np.unique(cells[~state.removed], return_inverse=True)
            points, cells = points[nodes], left.reshape(-1, 8)
            fields = {name: values[nodes] for name, values in fields.items()}
        return points, cells, fields
