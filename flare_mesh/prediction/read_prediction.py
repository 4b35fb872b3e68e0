"""Predictions from the files that they were written to."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from flare_mesh.cases.case_files import series_steps
from flare_mesh.cases.prediction_mark import (
    band_name,
    error_name,
    is_prediction,
    predicted_field,
    predicted_name,
)
from flare_mesh.files import check_readable, existing_file
from flare_mesh.io import read_mesh
from flare_mesh.mesh import MeshData
from flare_mesh.prediction.result import Prediction

_SUFFIXES = (".vtu", ".vtk", ".vtp", ".ply", ".xdmf")
_SERIES = ".pvd"


def find_predictions(folder: str | Path) -> list[Path]:
    """Files of predictions below a folder, in the order of their names; a series is its ``.pvd``.

    Raises:
        PermissionError: If the folder cannot be listed.
    """
    folder = Path(folder)
    check_readable(folder)
    series, others = [], []
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() == _SERIES and file.is_file():
            steps = series_steps(file)
            if steps and is_prediction(steps[0].file):
                series.append((file, {Path(step.file).resolve() for step in steps}))
        elif file.suffix.lower() in _SUFFIXES and file.is_file() and is_prediction(file):
            others.append(file)
    steps_of_series = {step for _, steps in series for step in steps}
    found = [file for file, _ in series]
    return sorted([*found, *(file for file in others if file.resolve() not in steps_of_series)])


def read_prediction(path: str | Path) -> Prediction:
    """Read what :meth:`Prediction.save` wrote.

    Times of computation and the kind of the unlikeness are not in the file.

    Args:
        path: A mesh file, or the ``.pvd`` file of a time series.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it cannot be read, has no field ``predicted_<name>``, or is a series whose
            steps have other fields or nodes than the first.
    """
    path = existing_file(path)
    if path.suffix.lower() != _SERIES:
        return _from_meshes(path, [read_mesh(path)], ())
    steps = series_steps(path)
    if not steps:
        raise ValueError(f"{path}: expected a time series of predictions (got no steps)")
    meshes = [read_mesh(step.file) for step in steps]
    return _from_meshes(path, meshes, tuple(step.time for step in steps))


def _from_meshes(path: Path, meshes: list[MeshData], times: tuple[float, ...]) -> Prediction:
    first = meshes[0]
    on_cells = not any(predicted_field(name) for name in first.node_fields)
    tables = [dict(one.cell_fields if on_cells else one.node_fields) for one in meshes]
    names = [found for name in tables[0] if (found := predicted_field(name))]
    if not names:
        known = sorted({*first.node_fields, *first.cell_fields})
        raise ValueError(
            f"{path}: expected a file that 'flare-mesh predict' wrote, with fields "
            f"'{predicted_name('<name>')}' (got the fields {known})"
        )
    case = first.case_fields
    return Prediction(
        path.name,
        first,
        {name: _joined(path, tables, predicted_name(name)) for name in names},
        # A file has the truth together with the error.
        {name: _joined(path, tables, name) for name in names if error_name(name) in tables[0]},
        {name: unit for name in names if (unit := first.units.get(predicted_name(name)))},
        on_cells,
        times,
        band={
            name: _joined(path, tables, band_name(name))
            for name in names
            if band_name(name) in tables[0]
        },
        coverage=_number(case, "band_coverage"),
        ood_score=_number(case, "ood_score"),
    )


def _joined(path: Path, tables: list[dict[str, Tensor]], name: str) -> Tensor:
    """A field of all steps, [N, steps * C]."""
    steps = []
    for number, one in enumerate(tables):
        values = one.get(name)
        if values is None or len(values) != len(tables[0][name]):
            got = "none" if values is None else f"{len(values):,} values"
            raise ValueError(
                f"{path}: expected '{name}' with {len(tables[0][name]):,} values in each step (got "
                f"{got} in step {number})"
            )
        steps.append(values.reshape(len(values), -1).float())
    return torch.cat(steps, dim=1)


def _number(case: Mapping[str, Tensor], name: str) -> float | None:
    return float(case[name].flatten()[0]) if name in case and case[name].numel() else None
