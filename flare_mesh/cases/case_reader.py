"""A mesh with all that a model asks for, read by the names of its fields."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flare_mesh.cases.case_scalars import NameScalars, TableScalars
from flare_mesh.cases.mesh_cache import of_highest_dimension, read_xdmf_step
from flare_mesh.cases.mesh_cases import MeshStep
from flare_mesh.cases.mesh_reading import MeshReading
from flare_mesh.cases.sources import MeshSource
from flare_mesh.io import read_mesh
from flare_mesh.io.arrays import MAX_BYTES
from flare_mesh.mesh import MeshData, check_mesh
from flare_mesh.surrogate.surrogate import Surrogate


@dataclass(frozen=True)
class PredictionCase:
    """What a prediction begins with.

    Attributes:
        name: What messages call it.
        mesh: Points and cells, as they are written.
        data: The surrogate's input, before its ``features``.
        truth: Those predicted fields that are known, [N, C]; of a time series, maybe of its first
            steps only.
        times: Time of each known step, of a time series.
        simulate_seconds: Wall time of a simulation that gave the truth.
    """

    name: str
    mesh: MeshData
    data: MeshData
    truth: dict[str, Tensor]
    times: tuple[float, ...] = ()
    simulate_seconds: float | None = None


class CaseReader:
    """Reads meshes for a surrogate.

    Args:
        surrogate: Tells which fields it takes.
        reading: How its training cases were read.
        values: Numbers of the whole case, by name; before those of a file, a name or a table.
        table: CSV file of such numbers, in place of that of the training.

    Raises:
        FileNotFoundError: If there is no such table.
        ValueError: If one of ``values`` is no input.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        reading: MeshReading,
        *,
        values: Mapping[str, float] | None = None,
        table: str | Path | None = None,
    ) -> None:
        self.surrogate = surrogate
        self.reading = reading
        self.values = dict(values or {})
        self.table = None if table is None else TableScalars(Path(table))
        self.pattern = None if reading.name_pattern is None else NameScalars(reading.name_pattern)
        past, future = ("", "") if reading.window is None else ("_in", "_out")
        # Names in x and y, and those in the file of each time step.
        self.inputs = {key: key.removesuffix(past) for key in reading.inputs}
        self.targets = {key: key.removesuffix(future) for key in surrogate.fields}
        unknown = [name for name in self.values if name not in self.inputs.values()]
        if unknown:
            raise ValueError(
                f"values: the model takes {sorted(self.inputs.values())}, not {unknown}"
            )

    def read(self, source: MeshSource) -> PredictionCase:
        """Reads a mesh file, or the steps of a time series.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If a file cannot be used, or an input is missing or of other channels.
        """
        scalars = self._scalars(source)
        if self.reading.window is not None:
            return self._series(source, scalars, *self.reading.window)
        mesh = self._mesh(source.steps[0], scalars, self.inputs.values())
        return self._case(str(source.file), mesh, scalars)

    def case(self, name: str, mesh: MeshData) -> PredictionCase:
        """The case of a mesh in memory that has the fields by name, or ``x``.

        Raises:
            ValueError: If it cannot be used, or an input is missing or of other channels.
        """
        if self.reading.window is not None:
            raise ValueError(f"{name}: the model takes a time series; give its files")
        return self._case(name, mesh, self.values)

    def _case(self, name: str, mesh: MeshData, scalars: Mapping[str, float]) -> PredictionCase:
        solid = self._solid(name, mesh)
        data = self._points(name, solid)
        found = self._fields(solid, self.inputs, scalars)
        missing = [field for key, field in self.inputs.items() if key not in found]
        if missing and mesh.x is None:
            have = {**mesh.node_fields, **mesh.cell_fields, **mesh.case_fields}
            raise ValueError(_missing(name, missing, have))
        if missing:
            data.x = mesh.x
        else:
            sizes = self.reading.inputs
            _set_x(data, [self._checked(name, k, found[k], sizes[k], data) for k in sizes])
        truth = {
            key: self._checked(name, key, values, self.surrogate.fields[key], data)
            for key, values in self._fields(solid, self.targets, scalars).items()
        }
        return PredictionCase(name, _bare(solid), data, truth)

    def _series(
        self, source: MeshSource, scalars: Mapping[str, float], num_in: int, num_out: int
    ) -> PredictionCase:
        name, sizes = str(source.file), self.reading.inputs
        if len(source.steps) < num_in:
            raise ValueError(
                f"{name}: the model takes {num_in} steps of a time series (got "
                f"{len(source.steps)}); give a .pvd or XDMF file of them, or their folder"
            )
        past: list[dict[str, Tensor]] = []
        solid = MeshData()
        for step in source.steps[:num_in]:
            solid = self._solid(step.file, self._mesh(step, scalars, self.inputs.values()))
            past.append(self._fields(solid, self.inputs, scalars))
        data, x = self._points(name, solid), []
        for key in sizes:
            steps = past if key.endswith("_in") else past[-1:]
            channels = sizes[key] // len(steps)
            x += [self._checked(name, key, step[key], channels, data) for step in steps]
        _set_x(data, x)
        truth: dict[str, list[Tensor]] = {}
        for number, step in enumerate(source.steps[num_in:]):
            part = self._solid(step.file, self._mesh(step, scalars))
            for key, values in self._fields(part, self.targets, scalars).items():
                channels = self.surrogate.fields[key] // num_out
                known = truth.setdefault(key, [])
                # Only as far as it is known without a gap.
                if len(known) == number:
                    known.append(self._checked(step.file, key, values, channels, data))
        times = tuple(step.time for step in source.steps)
        series = {key: torch.cat(steps, 1) for key, steps in truth.items() if steps}
        return PredictionCase(name, _bare(solid), data, series, times)

    def _scalars(self, source: MeshSource) -> dict[str, float]:
        """Numbers of the case, as far as they are known beside the file."""
        found: dict[str, float] = {}
        inputs = set(self.inputs.values()) - self.values.keys()
        for told in (self.pattern, self._table_of(source)):
            if told is None:
                continue
            names = [name for name in told.columns if name in inputs | {*self.targets.values()}]
            try:
                found |= told.of(source.name, names)
            except ValueError as error:
                needed = sorted(inputs.intersection(names))
                if needed:
                    raise ValueError(
                        f"{source.file}: {error}; or give {', '.join(needed)} by values"
                    ) from error
        return found | self.values

    def _table_of(self, source: MeshSource) -> TableScalars | None:
        if self.table is not None or self.reading.table is None:
            return self.table
        path = source.root / self.reading.table
        return TableScalars(path) if path.is_file() else None

    def _mesh(
        self, step: MeshStep, scalars: Mapping[str, float], needed: Iterable[str] = ()
    ) -> MeshData:
        """The mesh without faults, and with those of its fields that matter."""
        wanted = _Wanted({*self.inputs.values(), *self.targets.values()} - scalars.keys())
        options: dict[str, Any] = {"fields": wanted, "edges": False}
        file = Path(step.file)
        if step.number is None:
            mesh = read_mesh(file, **options)
        else:
            mesh = read_xdmf_step(file, step.number, MAX_BYTES, options)
        missing = sorted(set(needed) - scalars.keys() - wanted.seen)
        if missing:
            raise ValueError(_missing(step.file, missing, wanted.seen))
        try:
            if mesh.num_cells:
                check_mesh(mesh.pos, mesh.cells, allow=self.reading.allow)
        except ValueError as error:
            raise ValueError(f"{file}: {error}") from error
        return mesh

    def _solid(self, name: str, mesh: MeshData) -> MeshData:
        """The mesh; for fields on cells without its boundary, where that has cells too."""
        if self.reading.on == "nodes":
            return mesh
        if not mesh.num_cells:
            raise ValueError(f"{name}: the model's fields stand on cells, and it has none")
        return of_highest_dimension(mesh)

    def _points(self, name: str, mesh: MeshData) -> MeshData:
        """The points of a mesh as the model takes them."""
        reading, surrogate = self.reading, self.surrogate
        on_cells = reading.on == "cells"
        pos = mesh.centroids if on_cells else mesh.pos
        if not len(pos):
            raise ValueError(f"{name}: expected a mesh with points (got none)")
        data = MeshData(_of_dimension(name, pos, surrogate.pos_normalizer.channels))
        if not on_cells:
            data.cell_index, data.cell_type = mesh.cell_index, mesh.cell_type
            # Other data sets have edges of their own; transforms may look at them.
            looks = surrogate.model.uses_edges or bool(surrogate.features)
            if reading.edges or (reading.dataset != "mesh_folder" and looks):
                data.edge_index = mesh.edges()
        if reading.weights:
            data.weight = mesh.measures.abs() if on_cells else mesh.node_weights
        return data

    def _fields(
        self, mesh: MeshData, names: Mapping[str, str], scalars: Mapping[str, float]
    ) -> dict[str, Tensor]:
        """Fields [N, C] or [1, C] by their key, as far as they are known."""
        found = {}
        for key, field in names.items():
            if field in scalars:
                found[key] = torch.tensor([[float(scalars[field])]])
            elif field in mesh or field in mesh.cell_fields:
                values = _values(mesh, field, self.reading.on)
                found[key] = values.reshape(len(values), -1).float()
        return found

    def _checked(
        self, name: str, key: str, values: Tensor, channels: int, data: MeshData
    ) -> Tensor:
        nodes, field = len(data.pos), {**self.targets, **self.inputs}[key]
        if values.shape[1] != channels:
            raise ValueError(
                f"{name}: expected '{field}' with {channels} components (got {values.shape[1]}); "
                f"rename that field"
            )
        if len(values) not in (1, nodes):
            raise ValueError(
                f"{name}: the mesh changes within the series, from {nodes} to {len(values)} points"
            )
        bad = values.numel() - int(values.isfinite().sum())
        if bad:
            raise ValueError(f"{name}: {bad} values of '{field}' are NaN or infinite")
        return values.expand(nodes, channels)


class _Wanted(Collection[str]):
    """Names of fields to take where they are there, none of which must be; notes what is there."""

    def __init__(self, names: Collection[str]) -> None:
        self.names = set(names)
        self.seen: set[str] = set()

    def __contains__(self, name: object) -> bool:
        self.seen.add(str(name))
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _missing(name: str, missing: Iterable[str], have: Iterable[str]) -> str:
    return (
        f"{name}: no field {', '.join(missing)}, which the model takes; it has {sorted(have)}. "
        f"Rename a field, or give a number for the whole mesh by values"
    )


def _values(mesh: MeshData, field: str, on: str) -> Tensor:
    """A field on nodes or cells, or [1, C] of the whole mesh; as MeshFolder takes them."""
    if on == "cells":
        if field in mesh.cell_fields:
            return mesh.cell_fields[field]
        whole = field in mesh.case_fields
        return mesh[field] if whole else mesh.node_to_cell(mesh[field].float())
    return mesh[field] if field in mesh else mesh.cell_to_node(mesh.cell_fields[field].float())


def _of_dimension(name: str, pos: Tensor, channels: int) -> Tensor:
    """Coordinates of the model's dimension: files have three, also of what is flat."""
    more = pos[:, channels:]
    if pos.shape[1] < channels or bool((more != more[:1]).any()):
        raise ValueError(
            f"{name}: expected coordinates in {channels} dimensions, as the model was trained on "
            f"(got {pos.shape[1]} that vary)"
        )
    return pos if pos.shape[1] == channels else pos[:, :channels].contiguous()


def _bare(mesh: MeshData) -> MeshData:
    out = MeshData(mesh.pos)
    out.cell_index, out.cell_type = mesh.cell_index, mesh.cell_type
    return out


def _set_x(data: MeshData, parts: list[Tensor]) -> None:
    if parts:
        data.x = torch.cat(parts, 1)
