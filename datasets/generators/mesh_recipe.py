"""Base class of recipes of folders of mesh files."""

import csv
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from flare_mesh.datasets.generators.recipe import Recipe, Sample, Target, option
from flare_mesh.datasets.generators.scikit_fem import check_scikit_fem
from flare_mesh.io import write_mesh
from flare_mesh.mesh import MeshData


@dataclass
class SolvedCase:
    """Mesh of a case, and the results on it.

    Attributes:
        points: Coordinates [N, d].
        cells: Connectivity [E, nodes] by meshio's cell type.
        fields: Results [N] or [N, C] at the nodes.
        numbers: Numbers of the case that its file holds as field data.
        row: Numbers of the case in the table ``cases.csv``.
    """

    points: NDArray[np.float64]
    cells: Mapping[str, NDArray[np.integer]]
    fields: Mapping[str, NDArray[np.float64]]
    numbers: Mapping[str, float] = field(default_factory=dict)
    row: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class MeshRecipe(Recipe):
    """A folder of ``.vtu`` files, one per case, as a solver would leave them.

    The files are ``<name>/<case>.vtu``; ``<name>/cases.csv`` has the numbers of each case, if the
    recipe has a table.

    Args:
        num: Cases.
    """

    units: ClassVar[Mapping[str, str]]
    """Unit of each field."""

    table: ClassVar[tuple[str, ...]] = ()
    """Columns of the table, after the names of the cases."""

    num: int = option(60, role="count")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_scikit_fem(self.name)

    def _check_nodes(self, fewest: int) -> None:
        """Check the options ``min_nodes`` and ``max_nodes`` of recipes that have them."""
        low, high = vars(self)["min_nodes"], vars(self)["max_nodes"]
        if not fewest <= low <= high:
            raise ValueError(
                f"expected {fewest} <= --min-nodes <= --max-nodes (got {low} and {high})"
            )

    @abstractmethod
    def case_name(self, sample: Sample) -> str:
        """Name of a case's file, without suffix."""

    @abstractmethod
    def solve(self, sample: Sample) -> SolvedCase:
        """Draw a case, make its mesh and compute its fields.

        Raises:
            RuntimeError: If there is no mesh of sufficient quality, or the solver fails.
        """

    def targets(self) -> list[Target]:
        folder = self.name.replace("-", "_")
        samples = [Sample(0, i) for i in range(self.num)]
        names = [self.case_name(sample) for sample in samples]
        write = partial(_write_vtu, units=self.units)
        files = [
            Target(f"{folder}/{name}.vtu", [sample], write)
            for name, sample in zip(names, samples, strict=True)
        ]
        if self.table:
            write = partial(_write_table, columns=self.table, names=names)
            files.append(Target(f"{folder}/cases.csv", samples, write))
        return files

    def make(self, samples: Sequence[Sample]) -> Iterator[Mapping[str, NDArray]]:
        for sample in samples:
            case = self.solve(sample)
            arrays: dict[str, Any] = {"points": case.points}
            for kind, entries in vars(case).items():
                if kind != "points":
                    arrays |= {f"{kind}:{name}": value for name, value in entries.items()}
            yield {name: np.asarray(value) for name, value in arrays.items()}


def _entries(sample: Mapping[str, NDArray], kind: str) -> dict[str, NDArray]:
    start = f"{kind}:"
    return {key.removeprefix(start): sample[key] for key in sample if key.startswith(start)}


def _write_vtu(path: Path, files: Sequence[Path], *, units: Mapping[str, str]) -> None:
    with np.load(files[0], allow_pickle=False) as sample:
        cells = {name: torch.from_numpy(v) for name, v in _entries(sample, "cells").items()}
        fields = {
            name: torch.from_numpy(v).float() for name, v in _entries(sample, "fields").items()
        }
        numbers = {
            name: torch.tensor([[float(value)]])
            for name, value in _entries(sample, "numbers").items()
        }
        mesh = MeshData(
            torch.from_numpy(sample["points"]).float(), units=units, **cells, **fields, **numbers
        )
    write_mesh(path, mesh.check())


def _write_table(
    path: Path, files: Sequence[Path], *, columns: Sequence[str], names: Sequence[str]
) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["case", *columns])
        for name, place in zip(names, files, strict=True):
            with np.load(place, allow_pickle=False) as sample:
                row = _entries(sample, "row")
                table.writerow([name, *(f"{float(row[column]):g}" for column in columns)])
