"""The recipe by which a mesh file becomes a case."""

import json
import warnings
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from flare_mesh.cases.case_files import MeshStep
from flare_mesh.data.transforms.resolver import TransformSpec, appended_channels
from flare_mesh.io import MeshFileWarning, read_mesh
from flare_mesh.io.arrays import MAX_BYTES
from flare_mesh.mesh import MeshData, check_mesh
from flare_mesh.mesh.cell_storage import VTK_CODES
from flare_mesh.mesh.geometry import top_dimensional_cells

ALLOWED = ("duplicate_nodes", "unused_nodes")
"""Mesh faults that are accepted by default."""


@dataclass(frozen=True)
class CaseRecipe:
    """Recipe by which a mesh file becomes a case, and the fields of the case.

    A data set gives its recipe (:meth:`flare_mesh.datasets.FieldDataset.recipe`), training builds
    the model from it, and the surrogate stores it, so that prediction reads a file exactly as
    training did.

    Attributes:
        dataset: Name of the data set; empty if unknown.
        source: Name of the source plug-in that reads the files, see
            :class:`~flare_mesh.cases.SourcePlugin`; empty for mesh files.
        inputs: Channels of each field in x, before ``features``.
        targets: Channels of each field in y.
        units: Unit of each field.
        window: Time steps in x and in y of a time series, or None.
        step: Index of the time step to read of a file that has several, negative from the last;
            None if the files have one, or with a window.
        on: ``"nodes"``, or ``"cells"`` for the cell centroids as points.
        edges: Whether a case has ``edge_index``, if the model uses it.
        weights: Whether a case has ``weight``, the quadrature weight of each point.
        origin: Point that is subtracted from the coordinates in float64, see
            :func:`~flare_mesh.io.read_mesh`; None for none.
        allow: Mesh faults to accept, see :func:`~flare_mesh.mesh.checks.check_mesh`.
        name_pattern: Regular expression for numbers in the names of the cases.
        table: CSV file of such numbers, absolute or relative to the folder of the cases.
        pos_dim: Dimension of the coordinates.
        in_channels: Channels of x after ``features``.
        features: Transforms that compute the model's input.
        grid_shape: Nodes along each axis of a structured grid, or None.
        info: Origin of the data, see :meth:`flare_mesh.datasets.FieldDataset.info`.
    """

    dataset: str = ""
    source: str = ""
    inputs: Mapping[str, int] = field(default_factory=dict)
    targets: Mapping[str, int] = field(default_factory=dict)
    units: Mapping[str, str] = field(default_factory=dict)
    window: tuple[int, int] | None = None
    step: int | None = None
    on: str = "nodes"
    edges: bool = False
    weights: bool = False
    origin: tuple[float, ...] | None = None
    allow: tuple[str, ...] = ALLOWED
    name_pattern: str | None = None
    table: str | None = None
    pos_dim: int = 3
    in_channels: int = 0
    features: Sequence[TransformSpec] = ()
    grid_shape: tuple[int, ...] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    def read(
        self,
        step: MeshStep,
        required: Collection[str],
        optional: Collection[str] = (),
        *,
        max_bytes: int = MAX_BYTES,
    ) -> MeshData:
        """Read and check the mesh of a file or time step, with the named fields.

        Args:
            step: The file or time step.
            required: Fields that the file must have.
            optional: Fields to read if the file has them.
            max_bytes: Limit of the size that the file may declare.

        Raises:
            ValueError: If the file cannot be used or lacks a field; names the file.
        """
        file = Path(step.file)
        options: dict[str, Any] = {"fields": required, "optional": optional, "edges": False}
        options["origin"] = self.origin
        mesh = read_mesh(file, step=step.number, max_bytes=max_bytes, **options)
        return self.check(mesh, str(file))

    def check(self, mesh: MeshData, name: str) -> MeshData:
        """Check a mesh, and remove what makes no point of a case.

        For ``on="cells"``, that is the cells of lower dimension. Otherwise it is the nodes that
        belong to no cell, if there are cells: reference points and the like, where solvers write
        no values or NaN. A warning gives their number.

        Args:
            mesh: The mesh.
            name: Name of the mesh in messages.

        Raises:
            ValueError: If the mesh has a fault, or no cells where cell fields are needed.
        """
        if mesh.num_cells:
            try:
                check_mesh(mesh.pos, mesh.cells, allow=self.allow)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
        if self.on == "nodes":
            return _without_unused_nodes(mesh, name) if mesh.num_cells else mesh
        if not mesh.num_cells:
            raise ValueError(
                f"{name}: the model needs cell fields, but the mesh has no cells; give a mesh with "
                f"cells"
            )
        codes = torch.tensor([VTK_CODES[kind] for kind in top_dimensional_cells(mesh.cells)])
        return mesh.cell_subgraph(torch.isin(mesh.cell_type, codes.to(mesh.cell_type.dtype)))

    def make_case(self, mesh: MeshData, names: Collection[str]) -> MeshData:
        """Make a case of a checked mesh: points with fields as float32 [N, C], or [1, C].

        Node fields are averaged to the cells for ``on="cells"``, and cell fields to the nodes
        otherwise. A field [1, C] belongs to the whole case.

        Args:
            mesh: A mesh returned by :meth:`check`.
            names: Fields of the case.

        Raises:
            ValueError: If there are no points, or a field has NaN or infinite values.
        """
        on_cells = self.on == "cells"
        case = MeshData(mesh.centroids if on_cells else mesh.pos)
        case.origin = mesh.origin
        if not len(case.pos):
            raise ValueError("expected a mesh with points (got none)")
        if not on_cells:
            case.cell_index, case.cell_type = mesh.cell_index, mesh.cell_type
            if self.edges:
                case.edge_index = mesh.edges()
        if self.weights:
            case.weight = mesh.measures.abs() if on_cells else mesh.quadrature_weights
        for name in names:
            values = _values(mesh, name, on_cells)
            values = values.reshape(len(values), -1).float()
            bad = ~values.isfinite()
            if bool(bad.any()):
                place = _first_place(mesh, case, bad.any(dim=1), on_cells)
                raise ValueError(f"{int(bad.sum())} values of '{name}' are NaN or infinite{place}")
            case[name] = values
        return case

    @property
    def model_inputs(self) -> dict[str, int]:
        """Channels of each field in the model's x, the first ones; empty if ``features`` compute x.

        Features that only append channels, such as ``geometry_features``, leave the fields first.
        """
        appended = len(appended_channels(self.features, self.pos_dim))
        known = sum(self.inputs.values()) + appended
        return dict(self.inputs) if known == self.in_channels else {}

    def to_dict(self) -> dict[str, Any]:
        """All attributes except ``info``, in types of JSON."""
        values = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "info"}
        return json.loads(json.dumps(values, default=dict))

    @classmethod
    def from_info(
        cls, info: Mapping[str, Any], inputs: Mapping[str, int], targets: Mapping[str, int]
    ) -> Self:
        """The recipe in the ``info`` of a surrogate; by default that of plain mesh files.

        Args:
            info: ``info`` of the surrogate.
            inputs: ``inputs`` of the surrogate, used if it has no recipe.
            targets: ``fields`` of the surrogate, used if it has no recipe.

        Raises:
            ValueError: If the recipe is damaged, or from an older version.
        """
        if "reading" in info:
            raise ValueError("the surrogate was saved by an older version; train it again")
        try:
            known = dict(info.get("recipe", {"inputs": inputs, "targets": targets, "edges": True}))
            for name, convert in (
                *(("window", int), ("grid_shape", int)),
                *(("origin", float), ("allow", str)),
            ):
                if known.get(name) is not None:
                    known[name] = tuple(map(convert, known[name]))
            for name in ("inputs", "targets"):
                known[name] = {str(key): int(size) for key, size in known[name].items()}
            if known.get("step") is not None:
                known["step"] = int(known["step"])
            found = cls(**known, info=info)
            sizes = [*found.inputs.values(), *found.targets.values(), *(found.window or ())]
            if (
                found.on not in ("nodes", "cells")
                or min([1, *sizes]) < 1
                or len(found.window or (1, 1)) != 2
            ):
                raise ValueError(f"got {known}")
        except (TypeError, ValueError, AttributeError, KeyError) as error:
            raise ValueError(f"the surrogate's recipe is damaged ({error})") from error
        return found


def _values(mesh: MeshData, name: str, on_cells: bool) -> Tensor:
    """A field at the points, [N, ...], or for the whole case, [1, C]."""
    if not on_cells:
        return mesh[name] if name in mesh else mesh.cell_to_node(mesh.cell_fields[name].float())
    if name in mesh.cell_fields:
        return mesh.cell_fields[name]
    return mesh[name] if name in mesh.case_fields else mesh.node_to_cell(mesh[name].float())


def _without_unused_nodes(mesh: MeshData, name: str) -> MeshData:
    used = torch.zeros(len(mesh.pos), dtype=torch.bool)
    used[mesh.cell_index] = True
    if bool(used.all()):
        return mesh
    warnings.warn(
        f"{name}: {int((~used).sum())} of {len(used)} nodes belong to no cell and are left out",
        MeshFileWarning,
        stacklevel=4,
    )
    out: Any = mesh.subgraph(used)
    out._numbers = used.nonzero()[:, 0]  # in the file, for messages
    return out


def _first_place(mesh: Any, case: MeshData, bad: Tensor, on_cells: bool) -> str:
    """Number and coordinates of the first bad point, in words; empty for the whole case."""
    if len(bad) != len(case.pos):
        return ""
    first = int(bad.nonzero()[0, 0])
    at = case.pos[first].double()
    if case.origin is not None:
        at = at + torch.tensor(case.origin, dtype=torch.float64)[: len(at)]
    numbers = getattr(mesh, "_numbers", None)
    point = (
        "the centroid of a cell"
        if on_cells
        else f"node {first if numbers is None else int(numbers[first])}"
    )
    return f", the first at {point}, ({', '.join(f'{x:.9g}' for x in at.tolist())})"


def stack_fields(case: MeshData, sizes: Mapping[str, int]) -> Tensor:
    """Stack the named fields of a case side by side, [N, C]; fields [1, C] are repeated.

    Args:
        case: The points with the fields.
        sizes: Channels of each field, in order.

    Raises:
        ValueError: If a field does not have N or 1 rows and its number of channels.
    """
    nodes, parts = len(case.pos), []
    for name, channels in sizes.items():
        values = case[name]
        if values.dim() != 2 or values.shape[0] not in (1, nodes) or values.shape[1] != channels:
            raise ValueError(
                f"expected '{name}' of shape [{nodes}, {channels}] (got {list(values.shape)})"
            )
        parts.append(values.expand(nodes, channels))
    if len(parts) == 1:
        return parts[0].contiguous()
    # With NumPy, since torch would start all of its threads in each worker.
    return torch.from_numpy(np.concatenate([part.numpy() for part in parts], axis=1))
