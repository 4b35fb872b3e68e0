"""Run CalculiX on a deck and read its results."""

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Solved:
    """Result at the end of a run.

    Attributes:
        seconds: Wall time of the program.
        nodes: Numbers of the used nodes, from 0, rising.
        displacement: Displacement of these nodes, mm.
        stress: Mean stress of the used cells over the integration points, [n, 6], MPa, in the
            order xx, yy, zz, xy, yz, xz.
        plastic_strain: Mean equivalent plastic strain of these cells, [n]; None for elasticity.
    """

    seconds: float
    nodes: NDArray[np.int64]
    displacement: Floats
    stress: Floats
    plastic_strain: Floats | None


def available() -> bool:
    """Whether ``ccx`` is on the path."""
    return shutil.which("ccx") is not None


def run(deck: str, *, threads: int = 1) -> Solved:
    """Run a deck in a temporary folder.

    Raises:
        RuntimeError: If CalculiX reports an error.
    """
    with tempfile.TemporaryDirectory() as name:
        job = Path(name) / "job"
        job.with_suffix(".inp").write_text(deck)
        start = time.perf_counter()
        done = subprocess.run(
            ["ccx", job.name],
            cwd=name,
            env={**os.environ, "OMP_NUM_THREADS": str(threads)},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - start
        if "*ERROR" in done.stdout or done.returncode:
            raise RuntimeError(f"ccx failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        tables = _read(job.with_suffix(".dat"))
    if not tables:
        empty = np.zeros((0, 3))
        return Solved(seconds, np.zeros(0, np.int64), empty, np.zeros((0, 6)), None)
    moved = tables["displacements"]
    stress = _cell_means(tables["stresses"])[:, [0, 1, 2, 3, 5, 4]]
    plastic = tables.get("equivalent plastic strain")
    return Solved(
        seconds,
        moved[:, 0].astype(np.int64) - 1,
        moved[:, 1:],
        stress,
        None if plastic is None else _cell_means(plastic)[:, 0],
    )


def _cell_means(rows: Floats) -> Floats:
    """Cell means of rows (cell, point, values...) with eight points per cell."""
    return rows[:, 2:].reshape(-1, 8, rows.shape[1] - 2).mean(axis=1)


def _read(path: Path) -> dict[str, Floats]:
    """Last table of each name in a ``.dat`` file, sorted by its first two columns."""
    tables: dict[str, list[list[float]]] = {}
    name = ""
    for line in path.read_text().splitlines():
        words = line.split()
        if words and words[0].isdigit():
            tables[name].append([float(word) for word in words])
        elif words:
            name = line.split("(")[0].strip()
            tables[name] = []
    arrays = {name: np.array(rows) for name, rows in tables.items()}
    return {name: rows[np.lexsort(rows.T[[1, 0]])] for name, rows in arrays.items()}
