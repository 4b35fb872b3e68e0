"""Reads what a surrogate predicts on, by the recipe of its training."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from flare_mesh.cases.case_scalars import NameScalars, TableScalars
from flare_mesh.cases.mesh_cases import MeshStep
from flare_mesh.cases.recipe import CaseRecipe, stack_fields
from flare_mesh.cases.sources import MeshSource
from flare_mesh.mesh import MeshData
from flare_mesh.surrogate import Surrogate

_REMEDY = "the model takes it: rename a field, or give a number for the whole mesh by values"


@dataclass(frozen=True)
class PredictionCase:
    """Input of a prediction.

    Attributes:
        name: Name in messages.
        mesh: Points and cells, as they are written.
        data: The surrogate's input, before its ``features``.
        truth: Known values of the predicted fields, [N, C]; in a time series possibly of its first
            steps only.
        times: Time of each known step of a time series.
        simulate_seconds: Wall time of the simulation that gave the truth.
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
        surrogate: The trained model.
        recipe: How its training cases were read.
        values: Numbers of the whole case, by name; they take precedence over a file, name or table.
        table: CSV file of such numbers, in place of the training's.

    Raises:
        FileNotFoundError: If the table does not exist.
        ValueError: If one of ``values`` is not an input.
    """

    def __init__(
        self,
        surrogate: Surrogate,
        recipe: CaseRecipe,
        *,
        values: Mapping[str, float] | None = None,
        table: str | Path | None = None,
    ) -> None:
        self.surrogate = surrogate
        uses_edges = surrogate.model.uses_edges or bool(surrogate.features)
        self.recipe = replace(recipe, edges=recipe.edges and uses_edges)
        self.values = dict(values or {})
        self.table = None if table is None else TableScalars(Path(table))
        self.pattern = None if recipe.name_pattern is None else NameScalars(recipe.name_pattern)
        past, future = ("", "") if recipe.window is None else ("_in", "_out")
        # Names in x and y, and in the file of each time step.
        self.inputs = {key: key.removesuffix(past) for key in recipe.inputs}
        self.targets = {key: key.removesuffix(future) for key in surrogate.fields}
        unknown = [name for name in self.values if name not in self.inputs.values()]
        if unknown:
            raise ValueError(
                f"values: the model takes {sorted(self.inputs.values())} (got {unknown})"
            )

    def read(self, source: MeshSource) -> PredictionCase:
        """Read a mesh file, or the steps of a time series.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If a file cannot be used, or an input is missing or has other channels.
        """
        scalars = self._scalars(source)
        window = self.recipe.window
        if window is None:
            mesh = self._read(source.steps[0], scalars, self.inputs.values())
            return self._case(str(source.file), mesh, scalars)
        return self._series(source, scalars, *window)

    def case(self, name: str, mesh: MeshData) -> PredictionCase:
        """The case of a mesh in memory that has the fields by name, or ``x``.

        Raises:
            ValueError: If it cannot be used, or an input is missing or has other channels.
        """
        if self.recipe.window is not None:
            raise ValueError(f"{name}: the model takes a time series; give its files")
        try:
            mesh = self.recipe.check(mesh)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        return self._case(name, mesh, self.values)

    def _case(self, name: str, mesh: MeshData, scalars: Mapping[str, float]) -> PredictionCase:
        found = self._points(name, mesh, scalars)
        missing = [field for field in self.inputs.values() if field not in found]
        if missing and mesh.x is None:
            have = sorted({**mesh.node_fields, **mesh.cell_fields, **mesh.case_fields})
            raise ValueError(f"{name}: no field {missing}; it has {have}; {_REMEDY}")
        data = self._input(name, found)
        if missing:
            data.x = mesh.x
        elif self.inputs:
            data.x = self._stack(name, found, self.recipe.inputs)
        truth = {
            key: self._stack(name, found, {field: self.surrogate.fields[key]})
            for key, field in self.targets.items()
            if field in found
        }
        return PredictionCase(name, _bare(mesh), data, truth)

    def _series(
        self, source: MeshSource, scalars: Mapping[str, float], num_in: int, num_out: int
    ) -> PredictionCase:
        name, sizes = str(source.file), self.recipe.inputs
        if len(source.steps) < num_in:
            raise ValueError(
                f"{name}: the model takes {num_in} steps of a time series (got "
                f"{len(source.steps)}); give a .pvd or XDMF file of them, or their folder"
            )
        meshes = [self._read(step, scalars, self.inputs.values()) for step in source.steps[:num_in]]
        past = [self._points(name, mesh, scalars) for mesh in meshes]
        data = self._input(name, past[-1])
        x = [
            self._stack(name, step, {field: sizes[key] // len(steps)}, nodes=len(data.pos))
            for key, field in self.inputs.items()
            for steps in [past if key.endswith("_in") else past[-1:]]
            for step in steps
        ]
        if x:
            data.x = torch.cat(x, 1)
        truth: dict[str, list[Tensor]] = {}
        for number, step in enumerate(source.steps[num_in:]):
            found = self._points(step.file, self._read(step, scalars), scalars)
            for key, field in self.targets.items():
                known = truth.setdefault(key, [])
                # The truth ends at its first gap.
                if field in found and len(known) == number:
                    size = {field: self.surrogate.fields[key] // num_out}
                    known.append(self._stack(step.file, found, size, nodes=len(data.pos)))
        series = {key: torch.cat(steps, 1) for key, steps in truth.items() if steps}
        times = tuple(step.time for step in source.steps)
        return PredictionCase(name, _bare(meshes[-1]), data, series, times)

    def _scalars(self, source: MeshSource) -> dict[str, float]:
        """Numbers of the case that are known besides the file's own fields."""
        found: dict[str, float] = {}
        inputs = set(self.inputs.values()) - self.values.keys()
        for given in (self.pattern, self._table_of(source)):
            if given is None:
                continue
            names = [name for name in given.columns if name in inputs | {*self.targets.values()}]
            try:
                found |= given.of(source.name, names)
            except ValueError as error:
                needed = sorted(inputs.intersection(names))
                if needed:
                    raise ValueError(
                        f"{source.file}: {error}; or give {', '.join(needed)} by values"
                    ) from error
        return found | self.values

    def _table_of(self, source: MeshSource) -> TableScalars | None:
        if self.table is not None or self.recipe.table is None:
            return self.table
        path = source.root / self.recipe.table
        return TableScalars(path) if path.is_file() else None

    def _read(
        self, step: MeshStep, scalars: Mapping[str, float], needed: Collection[str] = ()
    ) -> MeshData:
        """The mesh with the fields that are needed, or that are inputs or truth."""
        wanted = {*self.inputs.values(), *self.targets.values()} - scalars.keys()
        mesh = self.recipe.read(step, (), wanted)
        missing = [
            field
            for field in needed
            if field not in scalars and field not in mesh and field not in mesh.cell_fields
        ]
        if missing:
            try:
                self.recipe.read(step, missing)
            except ValueError as error:  # lists the fields of the file
                raise ValueError(f"{error}; {_REMEDY}") from error
        return mesh

    def _points(self, name: str, mesh: MeshData, scalars: Mapping[str, float]) -> MeshData:
        """The points with the known inputs and targets as fields."""
        wanted = {*self.inputs.values(), *self.targets.values()}
        names = sorted(
            field for field in wanted - scalars.keys() if field in mesh or field in mesh.cell_fields
        )
        try:
            found = self.recipe.case(mesh, names)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        for field in wanted & scalars.keys():
            found[field] = torch.tensor([[float(scalars[field])]])
        return found

    def _input(self, name: str, found: MeshData) -> MeshData:
        """The points without fields, with coordinates of the model's dimension."""
        data = _bare(found)
        data.pos = _of_dimension(name, found.pos, self.surrogate.pos_normalizer.channels)
        for key in ("edge_index", "weight"):
            if key in found:
                data[key] = found[key]
        return data

    def _stack(
        self, name: str, found: MeshData, sizes: Mapping[str, int], *, nodes: int | None = None
    ) -> Tensor:
        """Fields side by side, [N, C].

        Args:
            name: Name in messages.
            found: The points with the fields.
            sizes: Channels of each field, by its name in x or in the file.
            nodes: Points of the time series, where there is one.
        """
        if nodes not in (None, len(found.pos)):
            raise ValueError(
                f"{name}: the mesh changes within the series, from {nodes} to {len(found.pos)} "
                f"points"
            )
        try:
            return stack_fields(found, sizes)
        except ValueError as error:
            raise ValueError(f"{name}: {error}; rename that field") from error


def _of_dimension(name: str, pos: Tensor, channels: int) -> Tensor:
    """Coordinates of the model's dimension: files have three, even for flat meshes."""
    more = pos[:, channels:]
    if pos.shape[1] < channels or bool((more != more[:1]).any()):
        raise ValueError(
            f"{name}: expected coordinates in {channels} dimensions, as the model was trained on "
            f"(got {pos.shape[1]} that vary)"
        )
    return pos if pos.shape[1] == channels else pos[:, :channels].contiguous()


def _bare(mesh: MeshData) -> MeshData:
    """Points and cells without fields."""
    out = MeshData(mesh.pos)
    out.cell_index, out.cell_type = mesh.cell_index, mesh.cell_type
    return out
