import pickle
import tarfile

import numpy as np
import pytest
import torch
from torch_geometric.loader import DataLoader

from flare_mesh.datasets.shapenet_car import ShapeNetCar

# A cube of 8 hexahedra's outer faces would do as a car; one hexahedron in the middle of 27 does.
SIDE = np.array(
    [[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]]
)
CUBE = np.array([[x, y, z] for z in (1, 2) for x, y in ((1, 1), (2, 1), (2, 2), (1, 2))], float)


def write_vtk(path, points, cells, kind, field):
    """A legacy file as the authors have them, in text."""
    rows = np.insert(cells, 0, cells.shape[1], axis=1)
    lines = ["# vtk DataFile Version 2.0", "Unstructured Grid Example", "ASCII"]
    lines += ["DATASET UNSTRUCTURED_GRID", f"POINTS {len(points)} float"]
    lines += [" ".join(f"{x:.6g}" for x in point) for point in points]
    lines += [f"CELLS {len(cells)} {rows.size}", *(" ".join(map(str, row)) for row in rows)]
    lines += [f"CELL_TYPES {len(cells)}", *([str(kind)] * len(cells))]
    lines += [f"POINT_DATA {len(points)}"]
    if field.ndim == 1:
        lines += ["SCALARS point_scalars double", "LOOKUP_TABLE default"]
    else:
        lines += ["VECTORS point_vectors double"]
    lines += [" ".join(f"{x:.9g}" for x in np.atleast_1d(values)) for values in field]
    path.write_text("\n".join(lines) + "\n")


def write_case(folder, seed, size=1.0):
    """One car: 11 surface points, of which quads use 8, in a grid of 4 x 4 x 4 points."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    surface = np.insert(CUBE, [0, 4, 8], 7.0, axis=0) * size
    quads = SIDE + 1 + (SIDE >= 4)
    pressure = rng.normal(-36, 48, len(surface))
    write_vtk(folder / "quadpress_smpl.vtk", surface, quads, 9, pressure)
    np.save(folder / "press.npy", pressure)
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    node = np.arange(64).reshape(4, 4, 4)
    corner = [node[:-1, :-1], node[1:, :-1], node[1:, 1:], node[:-1, 1:]]
    cells = np.stack([*(c[..., :-1] for c in corner), *(c[..., 1:] for c in corner)], axis=-1)
    cells = np.delete(cells.reshape(-1, 8), 13, axis=0)
    velocity = rng.normal(0, 9, (64, 3))
    write_vtk(folder / "hexvelo_smpl.vtk", grid * size, cells, 12, velocity)
    np.save(folder / "velo.npy", velocity.ravel())
    (folder / "cd.txt").write_text("0.3")
    return surface, pressure, velocity


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    root = tmp_path_factory.mktemp("car")
    folder = root / "mlcfd_data/training_data"
    cases = {}
    for number in range(9):
        for letter in "cab":
            case = f"param{number}/{letter}{number}"
            cases[case] = write_case(folder / case, number, 1 + number / 10)
    (folder / "param2/empty").mkdir()
    (folder / "param0/notes.txt").touch()
    (folder / "param0/.hidden").mkdir()
    return root, cases


def test_split_of_the_published_set(tmp_path):
    """The indices that UPT lists, from the drawing that it says they come from."""
    folder = tmp_path / "mlcfd_data/training_data"
    for number, count in enumerate((100, 99, 97, 100, 100, 96, 100, 98, 99)):
        for i in range(count):
            case = folder / f"param{number}/{i:03d}"
            case.mkdir(parents=True)
            (case / "quadpress_smpl.vtk").touch()
            (case / "press.npy").touch()
    train, test = ShapeNetCar(tmp_path), ShapeNetCar(tmp_path, "test")
    assert (len(train), len(test)) == (700, 189)
    every = sorted([*train.cases, *test.cases])
    listed = [550, 592, 229, 547, 62, 464, 798, 836, 5, 732, 876, 843, 367, 496, 142, 87, 88, 101]
    assert {every[i] for i in listed} < set(test.cases)
    numbers = [every.index(case) for case in test.cases]
    assert numbers[:8] == [4, 5, 8, 11, 14, 15, 16, 21]
    assert (sum(numbers), sum(i * i for i in numbers)) == (80626, 47223158)
    train = ShapeNetCar(tmp_path, convention="transolver")
    test = ShapeNetCar(tmp_path, "test", convention="transolver")
    assert (len(train), len(test)) == (789, 100)
    assert all(case.startswith("param0/") for case in test.cases)
    assert ShapeNetCar(tmp_path, convention="upt").cases == ShapeNetCar(tmp_path).cases


def test_surface_pressure(written, caplog):
    root, cases = written
    train, test = ShapeNetCar(root), ShapeNetCar(root / "mlcfd_data", "test")
    assert "27 cases instead of 889" in caplog.text
    assert (len(train), len(test)) == (21, 6)
    assert set(train.cases).isdisjoint(test.cases)
    assert set(train.cases) | set(test.cases) == set(cases)
    for index, case in enumerate(train.cases[:4]):
        data = train[index]
        surface, pressure, _ = cases[case]
        used = [1, 2, 3, 4, 6, 7, 8, 9]
        assert data.case_id == case
        assert data.x is None
        np.testing.assert_allclose(data.pos, surface[used], rtol=1e-5)
        np.testing.assert_array_equal(data.y[:, 0], pressure[used].astype(np.float32))
        assert torch.equal(data.quad, torch.from_numpy(SIDE))


def test_volume_and_surface(written):
    root, cases = written
    data_set = ShapeNetCar(root, "test", convention="transolver")
    assert data_set.cases == ["param0/a0", "param0/b0", "param0/c0"]
    data = data_set[1]
    surface, pressure, velocity = cases["param0/b0"]
    assert data.surf.tolist() == [False] * 56 + [True] * 11
    assert (data.x.shape, data.y.shape) == ((67, 4), (67, 4))
    np.testing.assert_array_equal(data.pos[data.surf], surface.astype(np.float32))
    np.testing.assert_allclose(data.y[data.surf, 3], pressure, rtol=1e-6)
    assert not data.y[~data.surf, 3].any()
    # Distances from the cube's corners, of which the grid has eight.
    distance = np.linalg.norm(data.pos[:56, None] - torch.from_numpy(CUBE), axis=-1).min(axis=1)
    np.testing.assert_allclose(data.x[:56, 0], distance, rtol=1e-6)
    assert not data.x[56:, 0].any()
    np.testing.assert_allclose(data.x[:56, 1:].norm(dim=1), 1, rtol=1e-6)
    corners = (CUBE @ [16, 4, 1]).astype(int)
    np.testing.assert_allclose(data.velocity[:56], np.delete(velocity, corners, 0), rtol=1e-6)
    outward = (torch.from_numpy(CUBE) - 1.5) / 0.75**0.5
    used = [57, 58, 59, 60, 62, 63, 64, 65]
    np.testing.assert_allclose(data.normals[used], outward, atol=1e-6)
    np.testing.assert_allclose(data.velocity[used], velocity[corners], rtol=1e-6)
    lengths = data.pos[data.hexahedron].amax(1) - data.pos[data.hexahedron].amin(1)
    assert len(lengths) == 26
    np.testing.assert_allclose(lengths, 1)


def test_read_once(written, monkeypatch):
    root, _ = written
    first = ShapeNetCar(root)[2]

    def never(*args, **kwargs):
        raise AssertionError("parsed again")

    monkeypatch.setattr("meshio.read", never)
    again = pickle.loads(pickle.dumps(ShapeNetCar(root)))[2]
    assert torch.equal(first.y, again.y)
    assert torch.equal(first.quad, again.quad)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches(written, workers):
    root, _ = written
    data_set = ShapeNetCar(root, convention="transolver", inputs=["sdf"], targets=["pressure"])
    batch = next(iter(DataLoader(data_set, batch_size=3, num_workers=workers)))
    assert (batch.x.shape, batch.y.shape, batch.surf.shape) == ((201, 1), (201, 1), (201,))
    sizes = batch.pos[batch.quad].amax(1) - batch.pos[batch.quad].amin(1)
    assert sizes.max() < 1.2  # no quad joins two cars


def test_options(written, tmp_path):
    root, _ = written
    with pytest.raises(ValueError, match="unknown split 'val'; choose from"):
        ShapeNetCar(root, "val")
    with pytest.raises(ValueError, match="unknown convention 'geo'; choose from .*'upt'"):
        ShapeNetCar(root, convention="geo")
    with pytest.raises(ValueError, match=r"unknown targets \['velocity'\]; choose from"):
        ShapeNetCar(root, targets=["velocity"])
    with pytest.raises(
        FileNotFoundError, match=r"param0: no such file; get it from http://www.nob"
    ):
        ShapeNetCar(tmp_path)
    (tmp_path / "param0/a").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match="no case with quadpress_smpl.vtk and press.npy"):
        ShapeNetCar(tmp_path)
    write_case(tmp_path / "param3/a", 0)
    with pytest.raises(ValueError, match="none of 1 cases is for split 'test'"):
        ShapeNetCar(tmp_path, "test", convention="transolver")


def test_damaged_cases(tmp_path, capfd):
    folder = tmp_path / "param1"
    (tmp_path / "param0").mkdir()
    for name in "abcdefgi":
        write_case(folder / name, 0)
    path = folder / "a/quadpress_smpl.vtk"
    path.write_bytes(path.read_bytes()[:-200])
    (folder / "b/quadpress_smpl.vtk").write_text("hello")
    np.save(folder / "c/press.npy", np.zeros(7))
    text = (folder / "d/quadpress_smpl.vtk").read_text()
    (folder / "d/quadpress_smpl.vtk").write_text(text.replace("4 1 4 3 2", "4 1 4 3 99"))
    write_vtk(folder / "e/quadpress_smpl.vtk", CUBE, SIDE[:, :3], 5, np.zeros(8))
    pressure = np.load(folder / "f/press.npy")
    pressure[3] = np.nan
    np.save(folder / "f/press.npy", pressure)
    np.save(folder / "g/press.npy", np.arange(11.0))
    data_set = ShapeNetCar(tmp_path, "train", convention="transolver")
    expected = (
        r"a/quadpress_smpl.vtk: expected one scalar on its points, .* file is truncated",
        r"b/quadpress_smpl.vtk: not a whole VTK file",
        r"c/press.npy: expected 11 pressures, .* \(got \[7\] of float64\)",
        r"d/quadpress_smpl.vtk: expected node numbers from 0 to 10 in 'quad' \(got 1 to 99\)",
        r"e/quadpress_smpl.vtk: expected .* type quad \(got points \[8, 3\] and \['triangle'\]\)",
        r"case 'param1/f': 1 values of 'y' are NaN",
        r"g/press.npy: not the pressure in quadpress_smpl.vtk; the files belong",
    )
    for index, message in enumerate(expected):
        with pytest.raises(ValueError, match=message):
            data_set[index]
    assert capfd.readouterr() == ("", "")
    (folder / "i/hexvelo_smpl.vtk").unlink()
    with pytest.raises(FileNotFoundError, match="hexvelo_smpl.vtk: no such file; get it from"):
        data_set[7]
    write_case(folder / "h", 0)
    left = ShapeNetCar(tmp_path, convention="transolver", skip_bad=True)
    assert [case.case_id for case in left] == ["param1/h"]


def test_download(tmp_path, monkeypatch, written):
    called = []

    def download_file(url, path):
        called.append(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def extract_zip(path, folder, *, max_bytes):
        called.append((path.name, max_bytes))
        target = folder / "mlcfd_data/training_data"
        target.mkdir(parents=True)
        for number in range(2):
            with tarfile.open(target / f"param{number}.tar.gz", "w:gz") as archive:
                source = written[0] / f"mlcfd_data/training_data/param{number}"
                archive.add(source, f"param{number}")

    monkeypatch.setattr("flare_mesh.io.download.download_file", download_file)
    monkeypatch.setattr("flare_mesh.io.archives.extract_zip", extract_zip)
    ShapeNetCar.download(tmp_path / "car", max_bytes=10**6)
    assert called == [ShapeNetCar.ADDRESS, ("mlcfd_data.zip", 10**6)]
    assert not [*tmp_path.rglob("*.tar.gz"), *tmp_path.rglob("*.zip")]
    assert len(ShapeNetCar(tmp_path / "car", convention="transolver")) == 3
    ShapeNetCar.download(tmp_path / "car")
    assert len(called) == 2  # nothing is fetched again


def test_interrupted_download(tmp_path, monkeypatch):
    """The archive goes last, so that a second attempt has it."""

    def extract_zip(path, folder, *, max_bytes):
        part = folder / "mlcfd_data/training_data/param0.tar.gz"
        part.parent.mkdir(parents=True)
        part.write_text("damaged")

    monkeypatch.setattr(
        "flare_mesh.io.download.download_file", lambda url, path: path.write_text("")
    )
    monkeypatch.setattr("flare_mesh.io.archives.extract_zip", extract_zip)
    with pytest.raises(ValueError, match="cannot be extracted"):
        ShapeNetCar.download(tmp_path)
    assert (tmp_path / "mlcfd_data.zip").exists()
