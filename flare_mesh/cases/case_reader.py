"""Prediction cases, read by the recipe of the training cases."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from flare_mesh.cases.case_files import CaseFiles, MeshStep
from flare_mesh.cases.case_scalars import NameScalars, TableScalars
from flare_mesh.cases.recipe import CaseRecipe, stack_fields
from flare_mesh.cases.source_plugins import Progress
from flare_mesh.mesh import MeshData
from flare_mesh.surrogate import Surrogate

_REMEDY = (
    "the model needs these inputs: rename a field, or give a number for the whole mesh by values"
)


@dataclass(frozen=True)
class PredictionCase:
    """Input of a prediction.

    Attributes:
        name: Name in messages.
        mesh: Points and cells of the output.
        data: Input of the surrogate, before its ``features``.
        truth: Known values of the predicted fields, [N, C], by their name in the file; in a time
            series possibly only of the first steps.
        times: Time of each known step of a time series.
        simulate_seconds: Wall time of the simulation that computed the truth.
    """

    name: str
    mesh: MeshData
    data: MeshData
    truth: dict[str, Tensor]
    times: tuple[float, ...] = ()
    simulate_seconds: float | None = None


class CaseReader:
    """Reader of prediction cases for a surrogate.

    Args:
        surrogate: The trained model.
        recipe: Recipe of its training cases.
        values: Numbers for the whole case, by name; they take precedence over files, file names
            and tables.
        table: CSV file of such numbers, instead of the training table.
        on_progress: Called by a source plug-in that simulates, after each step.

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
        on_progress: Progress | None = None,
    ) -> None:
        self.surrogate = surrogate
        self.on_progress = on_progress
        uses_edges = surrogate.model.uses_edges or bool(surrogate.features)
        self.recipe = replace(recipe, edges=recipe.edges and uses_edges)
        self.values = dict(values or {})
        self.table = None if table is None else TableScalars(Path(table))
        self.pattern = None if recipe.name_pattern is None else NameScalars(recipe.name_pattern)
        past, future = ("", "") if recipe.window is None else ("_in", "_out")
        # Name of each field in a file, by its name in x or y.
        self.inputs = {key: key.removesuffix(past) for key in recipe.inputs}
        self.targets = {key: key.removesuffix(future) for key in surrogate.fields}
        self._fields = {*self.inputs.values(), *self.targets.values()}
        unknown = [name for name in self.values if name not in self.inputs.values()]
        if unknown:
            raise ValueError(
                f"values: expected names from the model's inputs {sorted(self.inputs.values())} "
                f"(got {unknown})"
            )

    def read(self, files: CaseFiles) -> PredictionCase:
        """Read the case of a mesh file or of the files of a time series.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If a file cannot be used, or an input is missing or has other channels.
        """
        scalars = self._scalars(files)
        if self.recipe.window is not None:
            return self._series_case(files, scalars, *self.recipe.window)
        mesh = self._read(files.steps[0], scalars, self.inputs.values())
        return self._case(str(files.file), mesh, scalars)

    def from_mesh(self, name: str, mesh: MeshData) -> PredictionCase:
        """The case of a mesh in memory that has the input fields by name, or ``x``.

        Raises:
            ValueError: If it cannot be used, or an input is missing or has other channels.
        """
        if self.recipe.window is not None:
            raise ValueError(f"{name}: the model needs a time series; give its files")
        return self._case(name, self.recipe.check(mesh, name), self.values)

    def _case(self, name: str, mesh: MeshData, scalars: Mapping[str, float]) -> PredictionCase:
        points = self._points(name, mesh, scalars)
        missing = [field for field in self.inputs.values() if field not in points]
        if missing and mesh.x is None:
            have = sorted({**mesh.node_fields, **mesh.cell_fields, **mesh.case_fields})
            raise ValueError(f"{name}: no field {missing}; it has {have}; {_REMEDY}")
        data = self._input(name, points)
        if missing:
            data.x = mesh.x
        elif self.inputs:
            data.x = _stack(name, points, self.recipe.inputs)
        truth = {
            field: _stack(name, points, {field: self.surrogate.fields[key]})
            for key, field in self.targets.items()
            if field in points
        }
        return PredictionCase(name, _bare(mesh), data, truth)

    def _series_case(
        self, files: CaseFiles, scalars: Mapping[str, float], num_in: int, num_out: int
    ) -> PredictionCase:
        name, sizes = str(files.file), self.recipe.inputs
        if len(files.steps) < num_in:
            raise ValueError(
                f"{name}: the model needs {num_in} steps of a time series (got "
                f"{len(files.steps)}); give their .pvd or XDMF file, or their folder"
            )
        meshes = [self._read(step, scalars, self.inputs.values()) for step in files.steps[:num_in]]
        past = [self._points(name, mesh, scalars) for mesh in meshes]
        data = self._input(name, past[-1])
        x = [
            _stack(name, step, {field: sizes[key] // len(steps)}, nodes=len(data.pos))
            for key, field in self.inputs.items()
            for steps in [past if key.endswith("_in") else past[-1:]]
            for step in steps
        ]
        if x:
            data.x = torch.cat(x, 1)
        truth: dict[str, list[Tensor]] = {}
        for number, step in enumerate(files.steps[num_in:]):
            points = self._points(step.file, self._read(step, scalars), scalars)
            for key, field in self.targets.items():
                known = truth.setdefault(field, [])
                # The truth ends at the first step that lacks the field.
                if field in points and len(known) == number:
                    size = {field: self.surrogate.fields[key] // num_out}
                    known.append(_stack(step.file, points, size, nodes=len(data.pos)))
        series = {field: torch.cat(steps, 1) for field, steps in truth.items() if steps}
        times = tuple(step.time for step in files.steps)
        return PredictionCase(name, _bare(meshes[-1]), data, series, times)

    def _scalars(self, files: CaseFiles) -> dict[str, float]:
        """Numbers for the whole case from the file name, the table and ``values``."""
        found: dict[str, float] = {}
        table = self.table
        if table is None and self.recipe.table is not None:
            path = files.root / self.recipe.table
            table = TableScalars(path) if path.is_file() else None
        for scalars in (self.pattern, table):
            if scalars is None:
                continue
            names = [name for name in scalars.columns if name in self._fields - self.values.keys()]
            try:
                found |= scalars.values(files.name, names)
            except ValueError as error:
                needed = sorted(set(names).intersection(self.inputs.values()))
                if needed:
                    raise ValueError(
                        f"{files.file}: {error}; or give {', '.join(needed)} by values"
                    ) from error
        return found | self.values

    def _read(
        self, step: MeshStep, scalars: Mapping[str, float], required: Collection[str] = ()
    ) -> MeshData:
        """The mesh with its input and target fields."""
        mesh = self.recipe.read(step, (), self._fields - scalars.keys())
        missing = [
            field
            for field in required
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
        names = self._fields - scalars.keys()
        names = sorted(name for name in names if name in mesh or name in mesh.cell_fields)
        try:
            points = self.recipe.make_case(mesh, names)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
        for field in self._fields & scalars.keys():
            points[field] = torch.tensor([[float(scalars[field])]])
        return points

    def _input(self, name: str, points: MeshData) -> MeshData:
        """The points without fields, in the dimension of the model."""
        data, channels = _bare(points), self.surrogate.pos_normalizer.channels
        # Files have three coordinates even for flat meshes.
        more = points.pos[:, channels:]
        if points.pos.shape[1] < channels or bool((more != more[:1]).any()):
            raise ValueError(
                f"{name}: expected coordinates in {channels} dimensions, as in training (got "
                f"{points.pos.shape[1]} that vary)"
            )
        data.pos = points.pos[:, :channels].contiguous()
        for key in ("edge_index", "weight"):
            if key in points:
                data[key] = points[key]
        return data


def _stack(
    name: str, points: MeshData, sizes: Mapping[str, int], *, nodes: int | None = None
) -> Tensor:
    """Fields side by side, [N, C]; ``nodes`` is the number of points in a time series."""
    if nodes not in (None, len(points.pos)):
        raise ValueError(
            f"{name}: the mesh changes within the series, from {nodes} to {len(points.pos)} points"
        )
    try:
        return stack_fields(points, sizes)
    except ValueError as error:
        raise ValueError(f"{name}: {error}; rename that field") from error


def _bare(mesh: MeshData) -> MeshData:
    """Points and cells without fields."""
    out = MeshData(mesh.pos)
    out.origin = mesh.origin
    out.cell_index, out.cell_type = mesh.cell_index, mesh.cell_type
    return out
