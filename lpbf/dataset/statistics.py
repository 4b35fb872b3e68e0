"""Statistics of data sets and of the published one."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_mesh.documents import load_json
from flare_mesh.io.arrays import read_npz

QUANTITIES = (
    "nodes",
    "edges",
    "elements",
    "edges per node",
    "max |displacement|, mm",
    "max von Mises, MPa",
    "height, mm",
    "aspect ratio",
    "seconds",
)
SUMMARY = ("mean", "median", "min", "max")
_THREADS = 4  # to read files

PUBLISHED: Mapping[str, Mapping[str, Mapping[str, float]]] = {
    "published": {
        "nodes": {"count": 1390, "mean": 20_972, "min": 736, "max": 47_542},
        "edges": {"count": 1390, "mean": 114_135},
        "max |displacement|, mm": {"count": 1390, "mean": 0.295, "max": 0.998},
        "aspect ratio": {"count": 1390, "max": 2.99},
    },
    "published, unfiltered": {
        "nodes": {"count": 3398, "mean": 34_279, "median": 25_632, "max": 218_968},
        "edges per node": {"count": 3398, "mean": 5.44},
        "max |displacement|, mm": {"count": 3398, "mean": 0.592, "median": 0.338, "max": 8.6},
        "max von Mises, MPa": {"count": 3398, "mean": 1180, "median": 972},
        "height, mm": {"count": 3398, "mean": 38, "median": 45, "max": 60},
    },
}
"""Known statistics of LPBF_FLARE (arXiv 2508.12594), with and without its filters."""


def read_statistics(root: str | Path) -> dict[str, NDArray[np.float64]]:
    """Read the quantities of all cases of a data set, [number of cases] each.

    The cases are ``{train,test}/*.npz``, generated or published. The height is the largest z of a
    node (the plate is z = 0), the aspect ratio the largest of a cell's bounding box. The seconds
    are read from ``timing.json``, if it exists.

    Raises:
        FileNotFoundError: If there are no cases.
        ValueError: If a file is damaged.
    """
    root = Path(root)
    files = [p for split in ("test", "train") for p in sorted((root / split).glob("[!.]*.npz"))]
    if not files:
        raise FileNotFoundError(f"{root}: no cases ({{train,test}}/*.npz); give a data set")
    with ThreadPoolExecutor(_THREADS) as pool:
        rows = list(pool.map(_row, files))
    columns = zip(QUANTITIES[:-1], np.array(rows).T, strict=True)
    statistics = {name: np.asarray(values) for name, values in columns}
    timing = root / "timing.json"
    if timing.is_file():
        try:
            seconds = load_json(timing.read_text())
            statistics["seconds"] = np.array([float(seconds[path.stem]) for path in files])
        except (ValueError, LookupError, TypeError) as error:
            raise ValueError(
                f"{timing}: damaged, or from other cases ({error}); remove it, or finish the set "
                f"with --resume"
            ) from error
    return statistics


def _row(path: Path) -> list[float]:
    arrays = read_npz(path, ("pos", "edge_index", "elems", "disp", "vmstr"))
    pos, cells, displacement = arrays["pos"], arrays["elems"], arrays["disp"]
    nodes = len(pos)
    fits = pos.shape == displacement.shape == (nodes, 3) and arrays["vmstr"].size == nodes > 0
    if not fits or cells.ndim != 2 or len(cells) == 0 or arrays["edge_index"].ndim != 2:
        shapes = {name: list(array.shape) for name, array in arrays.items()}
        raise ValueError(f"{path}: expected a case of LPBF_FLARE's layout (got {shapes})")
    if cells.min() < 0 or cells.max() >= nodes:
        raise ValueError(f"{path}: 'elems' names nodes beyond the {nodes} nodes; restore the file")
    for name in ("pos", "disp", "vmstr"):
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"{path}: '{name}' has NaN or infinite values; restore the file")
    corners = pos[cells]
    sides = corners.max(axis=1) - corners.min(axis=1)
    edges = arrays["edge_index"].shape[1]
    return [
        nodes,
        edges,
        len(cells),
        edges / nodes,
        float(np.linalg.norm(displacement.astype(np.float64), axis=1).max()),
        float(arrays["vmstr"].max()),
        float(pos[:, 2].max()),
        float((sides.max(axis=1) / sides.min(axis=1)).max()),
    ]


def summary(values: NDArray[np.float64]) -> dict[str, float]:
    """Count, mean, median, minimum and maximum."""
    return {"count": len(values), **{name: float(getattr(np, name)(values)) for name in SUMMARY}}


def table_rows(
    sets: Mapping[str, Mapping[str, NDArray[np.float64]]],
) -> Iterator[tuple[str, str, Mapping[str, float]]]:
    """Rows of a table: quantity, data set, statistics; the published sets come last."""
    for quantity in QUANTITIES:
        for name, statistics in sets.items():
            if quantity in statistics:
                yield quantity, name, summary(statistics[quantity])
        for name, figures in PUBLISHED.items():
            if quantity in figures:
                yield quantity, name, figures[quantity]
