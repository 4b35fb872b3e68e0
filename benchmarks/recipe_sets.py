"""Data sets of ``benchmarks/recipe.py``: how they are generated, and what ``init`` is told."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flare_mesh import MeshData, write_mesh
from flare_mesh.datasets import Darcy, Elasticity

_COMPLETE = "complete"


@dataclass(frozen=True)
class BenchmarkSet:
    """A generated folder, and the arguments of ``flare-mesh init`` for it.

    Attributes:
        generate: Arguments of ``python -m`` that write the set to ``--out``.
        folder: The folder for ``init``, below the set's own.
        init: Arguments of ``init`` besides the folder.
        convert: Writes mesh files from another layout, from one folder to another.
    """

    generate: tuple[str, ...]
    folder: str
    init: tuple[str, ...]
    convert: Callable[[Path, Path], None] | None = None

    def prepare(self, root: Path, workers: int) -> Path:
        """Generate the set below a folder unless it is complete; the folder for ``init``."""
        if not (root / _COMPLETE).exists():
            root.mkdir(parents=True, exist_ok=True)
            options = ["--out", str(root), "--workers", str(workers), "--resume"]
            subprocess.run([sys.executable, "-m", *self.generate, *options], check=True)
            if self.convert is not None:
                self.convert(root, root / self.folder)
            (root / _COMPLETE).touch()
        return root / self.folder


def _darcy_meshes(root: Path, out: Path) -> None:
    """The nodes of the grid as quadrilaterals."""
    for split in ("train", "test"):
        cases = Darcy(root, split, stride=1)
        for number in range(len(cases)):
            case = cases[number]
            mesh = MeshData(case.pos, quad=case.quad, coeff=case.x, sol=case.y)
            write_mesh(out / split / f"darcy_{number:04d}.vtu", mesh)


def _elasticity_points(root: Path, out: Path, num_train: int, num_test: int) -> None:
    """Points without cells, as in the published set."""
    for split in ("train", "test"):
        cases = Elasticity(root, split, num_train=num_train, num_test=num_test)
        for number in range(len(cases)):
            case = cases[number]
            write_mesh(out / split / f"cell_{number:04d}.vtu", MeshData(case.pos, stress=case.y))


def _generated(name: str, *options: str) -> tuple[str, ...]:
    return ("flare_mesh.datasets.generate", name, *options)


def _darcy(num_train: int, num_test: int, resolution: int = 33) -> BenchmarkSet:
    return BenchmarkSet(
        _generated(
            "darcy",
            *("--resolution", str(resolution)),
            *("--num-train", str(num_train), "--num-test", str(num_test)),
        ),
        "meshes",
        ("--targets", "sol", "--inputs", "coeff"),
        _darcy_meshes,
    )


def _elasticity(num_train: int, num_test: int) -> BenchmarkSet:
    return BenchmarkSet(
        _generated("elasticity", "--num", str(num_train + num_test), "--refine", "3"),
        "meshes",
        ("--targets", "stress"),
        partial(_elasticity_points, num_train=num_train, num_test=num_test),
    )


_SOLID = ("--targets", "displacement,von_mises")

SETS = {
    "brackets": BenchmarkSet(_generated("brackets", "--num", "60"), "brackets", _SOLID),
    "plates": BenchmarkSet(_generated("plates", "--num", "120"), "plates", _SOLID),
    "obstacle_flow": BenchmarkSet(
        _generated("obstacle-flow", "--num", "120"),
        "obstacle_flow",
        ("--targets", "velocity,pressure"),
    ),
    "darcy_100": _darcy(100, 50),
    "darcy_100_17": _darcy(100, 50, 17),
    "darcy_1000": _darcy(1000, 100),
    "elasticity_100": _elasticity(100, 50),
    "elasticity_1000": _elasticity(1000, 100),
    "lpbf": BenchmarkSet(
        (
            "lpbf.generate",
            "--num-parts",
            "120",
            "--pitch",
            "2.5",
            "--layer-height",
            "2.5",
            "--size",
            "24",
            "50",
        ),
        ".",
        ("--data", "lpbf", "--targets", "displacement"),
    ),
}
"""All sets, by name."""
