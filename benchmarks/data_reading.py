"""Time to open and read cases and mesh files.

Writes an LPBF case of about 50,000 nodes, sets of 10,000 small cases, a set of large ones for the
workers, and mesh files of 20,000 nodes; checks the arrays that are read; then times

- reading that case into MeshData, median, warm, beside np.load of the same arrays,
- opening 10,000 cases by LPBF and, once they are cached, by MeshFolder,
- reading with two workers against one,
- VTKXMLFile against VTK in the reader process, on whole files and on chosen fields of larger ones:
  CPU time of both processes, since pairs of such ratios hold on a busy machine, too (Linux).

    python benchmarks/data_reading.py [--only mesh-files] [--json FILE]
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
from flare_mesh.io import reader_process, write_mesh
from flare_mesh.io.reader_process import read_in_child
from flare_mesh.io.vtk_xml import VTKXMLFile
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


def median_seconds(function: Callable[[], object], repeat: int) -> float:
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


def hexahedra(n: int) -> pyvista.UnstructuredGrid:
    """A mesh of n^3 nodes with fields as a finite-element program writes them."""
    rng = np.random.default_rng(n)
    mesh = pyvista.ImageData(dimensions=(n, n, n)).cast_to_unstructured_grid()
    mesh.points = (mesh.points + rng.normal(0, 0.01, mesh.points.shape)).astype(np.float32)
    mesh["displacement"] = np.sin(mesh.points / 9)
    mesh["temperature"] = np.exp(-mesh.points[:, 0] / 9)
    mesh["von_mises"] = np.cos(mesh.points[:, 1] / 9)
    mesh.cell_data["stress"] = rng.random((mesh.n_cells, 6), np.float32)
    mesh.cell_data["part"] = np.arange(mesh.n_cells) // 100
    return mesh


def quads(n: int) -> pyvista.PolyData:
    """A surface of n^2 nodes with the fields of DrivAerML on cells and of AirfRANS on nodes."""
    rng = np.random.default_rng(n)
    surface = pyvista.Plane(i_resolution=n - 1, j_resolution=n - 1)
    surface.clear_data()
    for name in ("p", "nut", "implicit_distance", "k"):
        surface[name] = np.sin(surface.points[:, 0] * 9).astype(np.float32)
    for name in ("pMeanTrim", "CpMeanTrim", "pPrime2MeanTrim"):
        surface.cell_data[name] = rng.random(surface.n_cells, np.float32)
    for name in ("wallShearStressMeanTrim", "wallShearStressPrime2MeanTrim"):
        surface.cell_data[name] = rng.random((surface.n_cells, 3), np.float32)
    return surface


def save(mesh: pyvista.DataSet, path: Path, encoding: str) -> None:
    import vtk

    kind = "PolyData" if path.suffix == ".vtp" else "UnstructuredGrid"
    writer = getattr(vtk, f"vtkXML{kind}Writer")()
    writer.SetInputData(mesh)
    writer.SetFileName(str(path))
    writer.SetEncodeAppendedData(False)
    writer.SetCompressorType(writer.ZLIB if encoding == "zlib" else writer.NONE)
    if encoding == "ascii":
        writer.SetDataModeToAscii()
    writer.Write()


def read_by_vtk(path: Path, fields: dict[str, list[str]]) -> list[np.ndarray]:
    """Points, cells and chosen fields, by PyVista in this process."""
    reader = pyvista.get_reader(path)
    reader.disable_all_point_arrays()
    reader.disable_all_cell_arrays()
    for name in fields.get("PointData", ()):
        reader.enable_point_array(name)
    for name in fields.get("CellData", ()):
        reader.enable_cell_array(name)
    mesh = reader.read()
    arrays = [mesh[name] for names in fields.values() for name in names]
    return [mesh.points, mesh.GetPolys().GetConnectivityArray(), *arrays]


def read_by_own(path: Path, fields: dict[str, list[str]]) -> list[np.ndarray]:
    file = VTKXMLFile(path)
    arrays = [
        file.read(section, name, 3 if name.startswith("wall") else 1)
        for section, names in fields.items()
        for name in names
    ]
    return [file.points(), file.cells("Polys")[0], *arrays]


def cpu_seconds() -> float:
    """CPU time of this process and of the reader process."""
    pid = reader_process._running().pid
    child = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return time.process_time() + sum(map(int, child)) / os.sysconf("SC_CLK_TCK")


def cpu_of_pairs(first: Callable[[], object], second: Callable[[], object], repeat: int):
    """CPU seconds of two functions, called in turn."""
    totals = [0.0, 0.0]
    for _ in range(repeat):
        for number, function in enumerate((first, second)):
            start = cpu_seconds()
            function()
            totals[number] += cpu_seconds() - start
    return totals


def mesh_files(root: Path, count: int) -> dict[str, float]:
    figures = {}
    mesh = hexahedra(27)
    for encoding in ("zlib", "raw", "ascii"):
        path = root / f"{encoding}.vtu"
        save(mesh, path, encoding)
        own, child = VTKXMLFile(path).mesh_arrays(), read_in_child("vtk", path)
        assert own.keys() == child.keys()
        for name, values in own.items():
            np.testing.assert_array_equal(values, child[name])
        own, child = cpu_of_pairs(
            lambda path=path: VTKXMLFile(path).mesh_arrays(),
            lambda path=path: read_in_child("vtk", path),
            count,
        )
        figures[f"mesh files, {encoding}: own reader, ms"] = 1e3 * own / count
        figures[f"mesh files, {encoding}: VTK in child, ms"] = 1e3 * child / count
    surface = quads(430)
    for encoding in ("zlib", "raw"):
        path = root / f"{encoding}.vtp"
        save(surface, path, encoding)
        for case, fields in (
            ("AirfRANS", {"PointData": ["p", "nut", "implicit_distance"]}),
            ("DrivAerML", {"CellData": ["pMeanTrim", "wallShearStressMeanTrim"]}),
        ):
            own, vtk = read_by_own(path, fields), read_by_vtk(path, fields)
            for ours, theirs in zip(own[2:], vtk[2:], strict=True):
                np.testing.assert_array_equal(ours, theirs)
            own, vtk = cpu_of_pairs(
                lambda path=path, fields=fields: read_by_own(path, fields),
                lambda path=path, fields=fields: read_by_vtk(path, fields),
                20,
            )
            figures[f"fields of {case}, {encoding}: own reader, ms"] = 1e3 * own / 20
            figures[f"fields of {case}, {encoding}: VTK, no child, ms"] = 1e3 * vtk / 20
    return figures


def cases(root: Path, repeat: int) -> dict[str, float]:
    figures: dict[str, float] = {}
    arrays = lpbf_arrays(36, 36, 35)
    large = root / "large" / "train" / "part.npz"
    large.parent.mkdir(parents=True)
    np.savez(large, **arrays)
    data = LPBF(root / "large")
    check(data[0], arrays)
    figures["nodes"] = len(arrays["pos"])
    figures["read, ms"] = 1e3 * median_seconds(lambda: data[0], repeat)
    figures["np.load, ms"] = 1e3 * median_seconds(lambda: load_plainly(large), repeat)

    small = root / "small.npz"
    np.savez(small, **lpbf_arrays(2, 2, 2))
    many(small, root / "many" / "train", 10_000)
    assert len(LPBF(root / "many")) == 10_000
    figures["open 10,000 cases of LPBF, s"] = median_seconds(lambda: LPBF(root / "many"), 5)

    plate = MeshData.from_pyvista(pyvista.ImageData(dimensions=(3, 3, 1)), edges=False)
    plate.u = plate.pos.clone()
    write_mesh(root / "plate.vtu", plate)
    many(root / "plate.vtu", root / "folder", 10_000)
    options_of_set = {"targets": ["u"], "workers": 2}
    start = time.perf_counter()
    first = MeshFolder(root / "folder", None, **options_of_set)
    figures["first reading of 10,000 files by MeshFolder, s"] = time.perf_counter() - start
    assert torch.equal(first[9_999].y, plate.u)
    figures["open 10,000 cases of MeshFolder, s"] = median_seconds(
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
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=51)
    parser.add_argument("--count", type=int, default=200, help="readings of each mesh file")
    parser.add_argument("--only", choices=("cases", "mesh-files"), help="measure only these")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        if options.only != "mesh-files":
            figures |= cases(Path(name), options.repeat)
        if options.only != "cases":
            figures |= mesh_files(Path(name), options.count)
    for key, value in figures.items():
        print(f"{key:50s} {value:10.3f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
