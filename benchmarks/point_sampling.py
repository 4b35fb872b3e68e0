"""Compare the time of drawing a few points of a large case with that of reading all.

    python benchmarks/point_sampling.py [--points 100000000] [--folder DIR] [--json FILE]

Write coordinates [points, 3] as an npy file and as HDF5 data sets with several storage layouts,
check that the drawn rows equal plain indexing, and print ratios: seconds and bytes from the disk
for all points over those for the draw. "cached" times are with the files in the system's cache;
before "cold" ones, and to count bytes, the files are dropped from it, if possible (Linux, on a
disk). Times are medians of alternating runs. The folder needs 60 bytes per point, and is empty at
the end.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from flare_mesh.io.arrays import hdf5_dataset, open_hdf5, open_npy
from flare_mesh.io.row_reading import read_rows
from flare_mesh.io.row_sampling import sample_rows

CHUNKS = (65_536, 3)
STORAGES: dict[str, dict[str, Any]] = {
    "contiguous": {},
    "chunked": {"chunks": CHUNKS},
    "gzip": {"chunks": CHUNKS, "compression": "gzip", "compression_opts": 1, "shuffle": True},
}


def write(folder: Path, points: int) -> dict[str, Path]:
    """Write the same points in each storage layout, without having all in memory."""
    paths = {"npy": folder / "pos.npy"} | {name: folder / f"{name}.h5" for name in STORAGES}
    whole = np.lib.format.open_memmap(paths["npy"], "w+", "<f4", (points, 3))
    step = 16 * CHUNKS[0]
    rng = np.random.default_rng(0)
    for start in range(0, points, step):
        part = whole[start : start + step]
        part[...] = rng.random(part.shape, dtype=np.float32)
    whole.flush()
    for name, options in STORAGES.items():
        with h5py.File(paths[name], "w") as file:
            dataset = file.create_dataset("pos", (points, 3), "<f4", **options)
            for start in range(0, points, step):
                dataset[start : start + step] = whole[start : start + step]
    return paths


def drop_from_cache(path: Path) -> None:
    """Drop a file from the system's cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def bytes_read() -> int | None:
    """Bytes that this process has read from disks, if the system counts them."""
    counters = Path("/proc/self/io")
    if not counters.is_file():
        return None
    return int(dict(line.split(": ") for line in counters.read_text().splitlines())["read_bytes"])


def draw(path: Path, num: int, method: str) -> tuple[np.ndarray, np.ndarray]:
    if path.suffix == ".npy":
        array = open_npy(path)
        rows = sample_rows(array, num, method=method)
        return rows, read_rows(array, rows)
    with open_hdf5(path) as file:
        dataset = hdf5_dataset(file, "pos")
        rows = sample_rows(dataset, num, method=method)
        return rows, read_rows(dataset, rows)


def read_whole(path: Path) -> np.ndarray:
    if path.suffix == ".npy":
        return np.load(path)
    with open_hdf5(path) as file:
        return hdf5_dataset(file, "pos")[()]


def index_by_list(path: Path, num: int) -> np.ndarray:
    """The same draw without this library."""
    if path.suffix == ".npy":
        array = np.asarray(open_npy(path))
        return array[sample_rows(array, num)]
    with open_hdf5(path) as file:
        dataset = hdf5_dataset(file, "pos")
        return dataset[sample_rows(dataset, num)]


def check(paths: dict[str, Path], num: int) -> None:
    expected = np.asarray(open_npy(paths["npy"]))
    for name, path in paths.items():
        for method in ("uniform", "blocks"):
            rows, values = draw(path, num, method)
            assert len(np.unique(rows)) == num, f"{name}: rows are repeated"
            assert (np.diff(rows) > 0).all(), f"{name}: rows do not ascend"
            assert np.array_equal(values, expected[rows]), f"{name}: the values differ"


def measure(path: Path, num: int, repeat: int, cold: bool) -> dict[str, tuple[float, float]]:
    """Median seconds and bytes from the disk of each way to read."""
    runs: dict[str, Callable[[], Any]] = {
        "whole": lambda: read_whole(path),
        "uniform": lambda: draw(path, num, "uniform"),
        "blocks": lambda: draw(path, num, "blocks"),
        "list": lambda: index_by_list(path, num),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    from_disk: dict[str, list[int]] = {name: [] for name in runs}
    if not cold:
        read_whole(path)
    for _ in range(repeat):
        for name, run in runs.items():
            if cold:
                drop_from_cache(path)
            before, start = bytes_read() or 0, time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
            from_disk[name].append((bytes_read() or 0) - before)
    return {n: (statistics.median(seconds[n]), statistics.median(from_disk[n])) for n in runs}


def compare(path: Path, num: int, repeat: int) -> dict[str, dict[str, float]]:
    cached = measure(path, num, repeat, cold=False)
    cold = measure(path, num, repeat, cold=True) if hasattr(os, "posix_fadvise") else None
    rows = {}
    for name in ("uniform", "blocks", "list"):
        row = {
            "cached_s": cached[name][0],
            "whole_over_it_cached": cached["whole"][0] / cached[name][0],
        }
        if cold is not None and cold["whole"][1]:
            row |= {
                "cold_s": cold[name][0],
                "whole_over_it_cold": cold["whole"][0] / cold[name][0],
                "megabytes": cold[name][1] / 1e6,
                "share_of_bytes": cold[name][1] / cold["whole"][1],
            }
        rows[name] = row
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=20_000_000)
    parser.add_argument("--num", type=int, default=16_384, help="points to draw")
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument(
        "--folder", type=Path, help="folder for the files; default: the system's temporary one"
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    results: dict[str, Any] = {
        "points": given.points,
        "num": given.num,
        "cores": os.cpu_count(),
        "h5py": h5py.version.version,
        "hdf5": h5py.version.hdf5_version,
    }
    print(results)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        paths = write(Path(folder), given.points)
        check(paths, given.num)
        for name, path in paths.items():
            results[name] = {"file_megabytes": path.stat().st_size / 1e6}
            for method, row in compare(path, given.num, given.repeat).items():
                results[name][method] = row
                cells = ", ".join(f"{key} {value:.4g}" for key, value in row.items())
                print(f"{name}, {method}: {cells}", flush=True)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
