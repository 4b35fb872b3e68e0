"""How fast cases are opened and read.

Writes an LPBF case of about 50,000 nodes, sets of 10,000 small cases, and one of large ones for the
workers; checks that what is read is what was written; then times

- reading that case into MeshData, median, warm, beside np.load of the same arrays,
- opening 10,000 cases by LPBF and, once they are kept, by MeshFolder,
- reading by two workers against one.

    python benchmarks/data_reading.py [--json FILE]
"""

import argparse
import json
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyvista
import torch
from torch_geometric.loader import DataLoader

from flare_mesh import MeshData
from flare_mesh.datasets import LPBF, MeshFolder
from lpbf import HexMesh


def lpbf_arrays(*cells: int) -> dict[str, np.ndarray]:
    mesh = HexMesh.from_mask(np.ones(cells), 1.0)
    rng = np.random.default_rng(0)
    nodes = len(mesh.points)
    return {
        "pos": mesh.points.astype(np.float32),
        "edge_index": mesh.edge_index.astype(np.int32),
        "elems": mesh.cells.astype(np.int32),
        "temp": rng.random(nodes, np.float32),
        "disp": rng.random((nodes, 3), np.float32),
        "vmstr": rng.random(nodes, np.float32),
    }


def check(case: MeshData, arrays: dict[str, np.ndarray]) -> None:
    np.testing.assert_array_equal(case.pos, arrays["pos"])
    np.testing.assert_array_equal(case.edge_index, arrays["edge_index"])
    np.testing.assert_array_equal(case.hexahedron, arrays["elems"])
    np.testing.assert_array_equal(case.y[:, :3], arrays["disp"])
    np.testing.assert_array_equal(case.y[:, 3], arrays["vmstr"])


def seconds(function: Callable[[], object], repeat: int) -> float:
    function()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def load_plainly(path: Path) -> list[np.ndarray]:
    with np.load(path) as file:
        return [file[key] for key in file.files]


def many(source: Path, folder: Path, count: int) -> None:
    """The same file under many names."""
    folder.mkdir(parents=True)
    for number in range(count):
        os.link(source, folder / f"part_{number:06d}{source.suffix}")


def epoch(data: LPBF, workers: int) -> float:
    """Seconds from the first batch of four cases that arrives to the last."""
    batches = iter(DataLoader(data, batch_size=4, num_workers=workers))
    next(batches)
    start = time.perf_counter()
    for _ in batches:
        pass
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=51)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        arrays = lpbf_arrays(36, 36, 35)
        large = root / "large" / "train" / "part.npz"
        large.parent.mkdir(parents=True)
        np.savez(large, **arrays)
        data = LPBF(root / "large")
        check(data[0], arrays)
        figures["nodes"] = len(arrays["pos"])
        figures["read, ms"] = 1e3 * seconds(lambda: data[0], options.repeat)
        figures["np.load, ms"] = 1e3 * seconds(lambda: load_plainly(large), options.repeat)

        small = root / "small.npz"
        np.savez(small, **lpbf_arrays(2, 2, 2))
        many(small, root / "many" / "train", 10_000)
        assert len(LPBF(root / "many")) == 10_000
        figures["open 10,000 cases of LPBF, s"] = seconds(lambda: LPBF(root / "many"), 5)

        plate = MeshData.from_pyvista(pyvista.ImageData(dimensions=(3, 3, 1)), edges=False)
        plate.u = plate.pos.clone()
        plate.save(root / "plate.vtu")
        many(root / "plate.vtu", root / "folder", 10_000)
        options_of_set = {"targets": ["u"], "workers": 2}
        start = time.perf_counter()
        first = MeshFolder(root / "folder", None, **options_of_set)
        figures["first reading of 10,000 files by MeshFolder, s"] = time.perf_counter() - start
        assert torch.equal(first[9_999].y, plate.u)
        figures["open 10,000 cases of MeshFolder, s"] = seconds(
            lambda: MeshFolder(root / "folder", None, **options_of_set), 5
        )

        # Compressed, as a set on a file system that is shared would be.
        np.savez_compressed(large, **arrays)
        many(large, root / "workers" / "train", 120)
        data = LPBF(root / "workers")
        check(data[0], arrays)
        ratios = [epoch(data, 1) / epoch(data, 2) for _ in range(3)]
        figures["two workers over one, compressed"] = statistics.median(ratios)
        shutil.rmtree(root / "workers")
        np.savez(large, **arrays)
        many(large, root / "workers" / "train", 300)
        ratios = [epoch(data := LPBF(root / "workers"), 1) / epoch(data, 2) for _ in range(3)]
        figures["two workers over one, stored"] = statistics.median(ratios)
    for key, value in figures.items():
        print(f"{key:50s} {value:10.3f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
