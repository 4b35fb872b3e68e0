import json
import pickle
import tarfile

import numpy as np
import pytest
import torch
from torch_geometric.loader import DataLoader

from flare_mesh.datasets.drivaerml import DrivAerML

pyvista = pytest.importorskip("pyvista")


def write_sample(root, split, run, count=50):
    """As the FLARE authors store it."""
    rng = np.random.default_rng(run)
    folder = root / split
    folder.mkdir(parents=True, exist_ok=True)
    centers = rng.random((count, 3)).astype(np.float32)
    fields = rng.normal(-229, 269, (count, 4)).astype(np.float32)
    np.savez(folder / f"run_{run}.npz", surface_mesh_centers=centers, surface_fields=fields)
    return centers, fields


def write_original(root, run):
    """A surface of triangles, quads and pentagons with cell data."""
    rng = np.random.default_rng(run)
    points = rng.random((60, 3)).astype(np.float32)
    faces, sizes = [], rng.integers(3, 6, 40)
    for size in sizes:
        faces += [size, *rng.choice(60, size, replace=False)]
    mesh = pyvista.PolyData(points, faces=faces)
    mesh.cell_data["CpMeanTrim"] = np.zeros(40, np.float32)
    mesh.cell_data["pMeanTrim"] = rng.normal(-229, 269, 40).astype(np.float32)
    mesh.cell_data["pPrime2MeanTrim"] = np.zeros(40, np.float32)
    mesh.cell_data["wallShearStressMeanTrim"] = rng.normal(size=(40, 3)).astype(np.float32)
    folder = root / f"run_{run}"
    folder.mkdir(parents=True)
    mesh.save(folder / f"boundary_{run}.vtp")
    return mesh


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    root = tmp_path_factory.mktemp("sample")
    for run in (1, 2, 10, 45):
        write_sample(root, "train", run)
    write_sample(root, "test", 4)
    write_sample(root, "test", 11)
    return root


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    root = tmp_path_factory.mktemp("original")
    meshes = {run: write_original(root, run) for run in (1, 2, 4, 11)}
    return root, meshes


def test_published_splits(tmp_path):
    for run in range(1, 501):
        (tmp_path / f"run_{run}").mkdir()
        (tmp_path / f"run_{run}/boundary_{run}.vtp").touch()
    sets = {s: DrivAerML(tmp_path, s, convention="abupt") for s in ("train", "val", "test")}
    assert {name: len(data) for name, data in sets.items()} == {"train": 400, "val": 34, "test": 50}
    # The authors' recipe: a permutation, without the 16 that are held back.
    order = torch.randperm(500, generator=torch.Generator().manual_seed(42)) + 1
    hidden = {167, 211, 218, 221, 248, 282, 291, 295, 316, 325, 329, 364, 370, 376, 403, 473}
    runs = [f"run_{i}" for i in order.tolist() if i not in hidden]
    for name, part in (("train", runs[:400]), ("test", runs[400:450]), ("val", runs[450:])):
        assert set(sets[name].cases) == set(part)
    assert sets["train"].cases[:5] == ["run_1", "run_2", "run_3", "run_5", "run_6"]


def test_sample(sample, caplog):
    data_set = DrivAerML(sample)
    assert "4 runs of split 'train' instead of 387" in caplog.text
    assert data_set.cases == ["run_1", "run_2", "run_10", "run_45"]
    assert DrivAerML(sample, "test").cases == ["run_4", "run_11"]
    with np.load(sample / "train/run_10.npz") as file:
        data = data_set[2]
        np.testing.assert_array_equal(data.pos, file["surface_mesh_centers"])
        np.testing.assert_array_equal(data.y, file["surface_fields"][:, :1])
        both = DrivAerML(sample, targets=["pressure", "wall_shear_stress"])[2]
        np.testing.assert_array_equal(both.y, file["surface_fields"])
    assert data.x is None
    # The other convention takes its runs from both folders.
    assert DrivAerML(sample, convention="abupt").cases == ["run_1", "run_2", "run_10", "run_45"]
    assert DrivAerML(sample, "val", convention="abupt").cases == ["run_4"]


def test_original(original):
    root, meshes = original
    data_set = DrivAerML(
        root,
        convention="abupt",
        inputs=["normals"],
        targets=["pressure", "wall_shear_stress", "area"],
    )
    assert data_set.cases == ["run_1", "run_2"]
    data, mesh = data_set[1], meshes[2]
    cell = data.source_cell
    assert sorted(cell.tolist()) == [*range(40)]
    assert cell.tolist() != [*range(40)]
    fields = mesh.cell_data
    np.testing.assert_array_equal(data.y[:, 0], fields["pMeanTrim"][cell])
    np.testing.assert_array_equal(data.y[:, 1:4], fields["wallShearStressMeanTrim"][cell])
    corners = [mesh.points[mesh.get_cell(int(i)).point_ids] for i in cell]
    np.testing.assert_allclose(data.pos, [c.mean(axis=0) for c in corners], atol=1e-6)
    triangles = [i for i, c in enumerate(corners) if len(c) == 3]
    sides = [np.cross(c[1] - c[0], c[2] - c[0]) / 2 for c in (corners[i] for i in triangles)]
    area = np.linalg.norm(sides, axis=1, keepdims=True)
    np.testing.assert_allclose(data.area[triangles], area, rtol=1e-4)
    np.testing.assert_allclose(data.x[triangles], sides / area, atol=1e-4)


def test_listed_split(original, tmp_path):
    root, _ = original
    with pytest.raises(FileNotFoundError, match=r"no train_test_splits.json, .*='abupt'"):
        DrivAerML(root)
    splits = root / "train_test_splits.json"
    splits.write_text(json.dumps({"train": [2, 11, 300], "test": [4]}))
    assert DrivAerML(root).cases == ["run_2", "run_11"]
    assert DrivAerML(root, "test").cases == ["run_4"]
    for text in ("{", '{"train": 5}', '{"test": [1]}', '{"train": ["x"]}'):
        splits.write_text(text)
        with pytest.raises(ValueError, match="expected lists of the runs' numbers|damaged"):
            DrivAerML(root)
    splits.unlink()


@pytest.mark.parametrize("kind", ["sample", "original"])
def test_random_points(kind, sample, original):
    root = sample if kind == "sample" else original[0]
    whole = DrivAerML(root, convention="abupt")[0]
    rows = {tuple(p): float(v) for p, v in zip(whole.pos.tolist(), whole.y, strict=True)}
    some = DrivAerML(root, convention="abupt", num_points=15)
    drawn = [some[0] for _ in range(30)]
    assert len({tuple(d.pos[0].tolist()) for d in drawn}) > 10
    for data in drawn:
        points = [tuple(p) for p in data.pos.tolist()]
        assert len(set(points)) == 15
        assert [rows[p] for p in points] == data.y.flatten().tolist()
    # Around the end too, each node is as likely as any other.
    assert {tuple(p) for d in drawn for p in d.pos.tolist()} == set(rows)
    fixed, again = (DrivAerML(root, convention="abupt", num_points=15, seed=3) for _ in range(2))
    assert torch.equal(fixed[0].pos, fixed[0].pos)
    assert torch.equal(fixed[0].pos, again[0].pos)
    # Not the same rows of each case.
    every = DrivAerML(root, convention="abupt")
    first = {every[i].pos.tolist().index(fixed[i].pos[0].tolist()) for i in range(len(every))}
    assert len(first) > 1
    with pytest.raises(ValueError, match=r"\d+ nodes are fewer than num_points = 1,000"):
        DrivAerML(root, convention="abupt", num_points=1000)[0]


def test_decoded_once_and_mapped(original, monkeypatch):
    root, _ = original
    data_set = DrivAerML(root, convention="abupt", num_points=3, seed=0)
    first = data_set[0]

    def never(*args, **kwargs):
        raise AssertionError("decoded again")

    monkeypatch.setattr("flare_mesh.datasets.drivaerml_surface.VTKXMLFile", never)
    text = pickle.dumps(data_set)
    assert len(text) < 5000
    assert torch.equal(pickle.loads(text)[0].pos, first.pos)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches(sample, workers):
    data_set = DrivAerML(sample, num_points=20)
    batch = next(iter(DataLoader(data_set, batch_size=4, num_workers=workers)))
    assert (batch.pos.shape, batch.y.shape) == ((80, 3), (80, 1))
    assert batch.ptr.tolist() == [0, 20, 40, 60, 80]


def test_bad_options(sample, tmp_path):
    for options, message in (
        ({"convention": "geo"}, r"unknown convention 'geo'; choose from \['abupt', 'flare'\]"),
        ({"split": "val"}, r"convention 'flare' has no split 'val'; choose from \['test', 'train'"),
        ({"num_points": 0}, "expected num_points of at least 1"),
        ({"targets": ["area"]}, r"unknown targets \['area'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            DrivAerML(sample, **options)
    with pytest.raises(FileNotFoundError, match=r"neither \{train,test\}/run_\*.npz .* nor"):
        DrivAerML(tmp_path)
    write_original(tmp_path, 1)
    with pytest.raises(FileNotFoundError, match="none of its 1 runs is in split 'val'"):
        DrivAerML(tmp_path, "val", convention="abupt")


def test_damaged_samples(tmp_path):
    for run in (1, 2, 3, 5, 6):
        write_sample(tmp_path, "train", run)
    path = tmp_path / "train/run_1.npz"
    path.write_bytes(path.read_bytes()[:-200])
    np.savez(tmp_path / "train/run_2.npz", surface_mesh_centers=np.zeros((5, 3)))
    np.savez(
        tmp_path / "train/run_3.npz",
        surface_mesh_centers=np.zeros((5, 3)),
        surface_fields=np.zeros((5, 3)),
    )
    np.savez(
        tmp_path / "train/run_5.npz",
        surface_mesh_centers=np.zeros((5, 3)),
        surface_fields=np.full((5, 4), np.inf),
    )
    data_set = DrivAerML(tmp_path)
    for index, message in enumerate(
        (
            "run_1.npz: not a whole npz file",
            r"run_2.npz: .*no arrays \['surface_fields'\]",
            r"run_3.npz: expected .* \(got \[5, 3\] and \[5, 3\]\)",
            "case 'run_5': 5 values of 'y' are NaN or infinite",
        )
    ):
        with pytest.raises(ValueError, match=message):
            data_set[index]
    assert len(DrivAerML(tmp_path, skip_bad=True)) == 1


def test_damaged_originals(tmp_path):
    for run in (1, 2, 3, 5):
        mesh = write_original(tmp_path, run)
    path = tmp_path / "run_1/boundary_1.vtp"
    path.write_bytes(path.read_bytes()[:-3000])
    path = tmp_path / "run_2/boundary_2.vtp"
    path.write_bytes(path.read_bytes().replace(b"pMeanTrim", b"qMeanTrim"))
    mesh.cast_to_unstructured_grid().save(tmp_path / "a.vtu")
    (tmp_path / "a.vtu").rename(tmp_path / "run_3/boundary_3.vtp")
    lines = pyvista.PolyData(mesh.points, faces=[3, 0, 1, 2], lines=[2, 3, 4])
    lines.save(tmp_path / "run_5/boundary_5.vtp")
    data_set = DrivAerML(tmp_path, convention="abupt")
    for index, message in enumerate(
        (
            "boundary_1.vtp: not a whole VTK XML file",
            "boundary_2.vtp: no array 'pMeanTrim' in CellData; it has .*'qMeanTrim'",
            "boundary_3.vtp: expected a PolyData",
            r"boundary_5.vtp: expected polygons only \(1 of 2 are\)",
        )
    ):
        with pytest.raises(ValueError, match=message):
            data_set[index]


def test_download(tmp_path, monkeypatch):
    called = []

    def download_hub(repo_id, folder, *, patterns=None, revision=None):
        called.append((repo_id, folder, patterns))
        if "PDESurrogates" in repo_id:
            name = "drivaerml_surface_presampled_10k"
            write_sample(tmp_path / "made" / name, "train", 1)
            with tarfile.open(folder / f"{name}.tar.gz", "w:gz") as archive:
                archive.add(tmp_path / "made" / name, name)

    monkeypatch.setattr("flare_mesh.io.download.download_hub", download_hub)
    folder = DrivAerML.download(tmp_path, points="10k")
    assert len(DrivAerML(folder)) == 1
    assert not [*tmp_path.glob("*.tar.gz")]
    assert DrivAerML.download(tmp_path, points="10k") == folder  # is not fetched again
    with tarfile.open(tmp_path / f"{folder.name}.tar.gz", "w:gz") as archive:  # interrupted
        archive.add(tmp_path / "made" / folder.name, folder.name)
    (folder / "train/run_1.npz").unlink()
    assert len(DrivAerML(DrivAerML.download(tmp_path, points="10k"))) == 1
    assert DrivAerML.download(tmp_path, runs=[1, 7]) == tmp_path
    assert called == [
        (
            "vedantpuri/PDESurrogates",
            tmp_path,
            ["drivaerml_surface_presampled_10k.tar.gz"],
        ),
        ("neashton/drivaerml", tmp_path, ["run_1/boundary_1.vtp", "run_7/boundary_7.vtp"]),
    ]
    with pytest.raises(ValueError, match="no sample of '5k' points; try '40k'"):
        DrivAerML.download(tmp_path, points="5k")
