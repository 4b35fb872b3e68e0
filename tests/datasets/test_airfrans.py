import json
import math
import pickle

import numpy as np
import pytest
import torch
from torch_geometric.loader import DataLoader

from flare_mesh.datasets.airfrans import AirfRANS

pyvista = pytest.importorskip("pyvista")

NAMES = [
    "airFoil2D_SST_47.017_-4.369_4.85_6.296_6.401",
    "airFoil2D_SST_60.5_10.0_0.0_4.0_0.0_12.0",
    "airFoil2D_SST_33.0_2.5_1.0_2.0_3.0",
    "airFoil2D_SST_90.1_-1.25_1.0_2.0_1.0_3.0",
]
AROUND, OUT = 12, 4


def write_case(root, name, seed=0):
    """A ring of quads around an aerofoil, as the authors save it by PyVista."""
    rng = np.random.default_rng(seed)
    angle = np.linspace(0, 2 * np.pi, AROUND, endpoint=False)
    circle = np.stack([np.cos(angle), 0.2 * np.sin(angle), np.full(AROUND, 0.5)], axis=1)
    rings = [circle * [1 + k, 1 + 3 * k, 1] for k in range(OUT)]
    points = np.concatenate(rings).astype(np.float32)
    order = rng.permutation(len(points))
    node = np.argsort(order).reshape(OUT, AROUND)
    quads = [node[:-1], np.roll(node[:-1], -1, 1), np.roll(node[1:], -1, 1), node[1:]]
    quads = np.stack(quads, axis=-1).reshape(-1, 4)
    internal = pyvista.UnstructuredGrid({pyvista.CellType.QUAD: quads}, points[order])
    count = len(points)
    velocity = rng.random((count, 3)).astype(np.float32) + 1
    velocity[node[0]] = 0
    internal["U"] = velocity
    for field in ("p", "nut"):
        internal[field] = rng.normal(size=count).astype(np.float32)
    internal["implicit_distance"] = -np.repeat(np.arange(OUT), AROUND)[order].astype(np.float32)
    wall = rng.permutation(AROUND)
    lines = np.stack([np.full(AROUND, 2), np.arange(AROUND), np.roll(np.arange(AROUND), -1)], 1)
    aerofoil = pyvista.PolyData(points[:AROUND][wall], lines=lines)
    aerofoil["Normals"] = (circle * [1, 1, 0])[wall].astype(np.float32)
    for field in ("U", "p", "nut"):
        aerofoil[field] = internal[field][node[0][wall]]
    folder = root / name
    folder.mkdir(parents=True)
    internal.save(folder / f"{name}_internal.vtu")
    aerofoil.save(folder / f"{name}_aerofoil.vtp")


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("airfrans")
    for seed, name in enumerate(NAMES):
        write_case(root / "Dataset", name, seed)
    manifest = {
        "full_train": NAMES[:3],
        "full_test": NAMES[3:],
        "scarce_train": NAMES[:1],
        "reynolds_train": NAMES[1:],
        "reynolds_test": NAMES[:1],
        "aoa_train": NAMES[:2],
        "aoa_test": NAMES[2:],
    }
    (root / "Dataset/manifest.json").write_text(json.dumps(manifest))
    return root


def test_tasks(root):
    sizes = {
        task: [len(AirfRANS(root, split, task=task)) for split in ("train", "test")]
        for task in ("full", "scarce", "reynolds", "aoa")
    }
    assert sizes == {"full": [3, 1], "scarce": [1, 1], "reynolds": [3, 1], "aoa": [2, 2]}
    assert AirfRANS(root / "Dataset", "test", task="scarce").cases == NAMES[3:]


@pytest.mark.parametrize("index", range(3))
def test_as_the_authors_package_has_it(root, index):
    """airfrans.Simulation: what it computes, point by point."""
    name = NAMES[index]
    folder = root / "Dataset" / name
    internal = pyvista.read(folder / f"{name}_internal.vtu")
    aerofoil = pyvista.read(folder / f"{name}_aerofoil.vtp")
    data = AirfRANS(root)[index]
    assert data.case_id == name
    np.testing.assert_array_equal(data.pos, internal.points[:, :2])
    np.testing.assert_array_equal(data.surf, internal["U"][:, 0] == 0)
    assert int(data.surf.sum()) == AROUND
    speed, degrees = float(name.split("_")[2]), float(name.split("_")[3])
    inlet = [speed * math.cos(math.radians(degrees)), speed * math.sin(math.radians(degrees))]
    normals = np.zeros((len(data.pos), 2))
    for i in np.flatnonzero(data.surf):
        (same,) = np.flatnonzero((aerofoil.points[:, :2] == internal.points[i, :2]).all(axis=1))
        normals[i] = aerofoil["Normals"][same, :2]
    expected_x = np.column_stack(
        [np.tile(inlet, (len(data.pos), 1)), -internal["implicit_distance"], normals]
    )
    np.testing.assert_allclose(data.x, expected_x, rtol=1e-6, atol=1e-6)
    expected_y = np.column_stack([internal["U"][:, :2], internal["p"], internal["nut"]])
    np.testing.assert_array_equal(data.y, expected_y)
    np.testing.assert_array_equal(data.quad, internal.cells_dict[9])


def test_fields(root):
    data_set = AirfRANS(root, inputs=["inlet_speed", "angle_of_attack"], targets=["pressure"])
    assert data_set.input_channels == {"inlet_speed": 1, "angle_of_attack": 1}
    np.testing.assert_allclose(data_set[0].x[5], [47.017, -4.369], rtol=1e-6)
    assert set(AirfRANS.UNITS) == set(AirfRANS.FIELDS)


def test_read_once(root, monkeypatch):
    first = AirfRANS(root)[0]

    def never(*args, **kwargs):
        raise AssertionError("decoded again")

    monkeypatch.setattr("flare_mesh.datasets.airfrans.VTKXMLFile", never)
    again = pickle.loads(pickle.dumps(AirfRANS(root)))[0]
    assert torch.equal(first.y, again.y)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches(root, workers):
    batch = next(iter(DataLoader(AirfRANS(root), batch_size=3, num_workers=workers)))
    count = AROUND * OUT
    assert (batch.x.shape, batch.y.shape) == ((3 * count, 5), (3 * count, 4))
    assert (batch.quad // count == batch.quad[:, :1] // count).all()
    assert batch.inlet_speed.flatten().tolist() == pytest.approx([47.017, 60.5, 33.0])


def test_bad_options(root, tmp_path):
    with pytest.raises(ValueError, match="unknown split 'val'; choose from"):
        AirfRANS(root, "val")
    with pytest.raises(ValueError, match=r"unknown task 'all'; choose from \['aoa', 'full'"):
        AirfRANS(root, task="all")
    with pytest.raises(
        FileNotFoundError, match=r"manifest.json: no such file; get it from https://"
    ):
        AirfRANS(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"manifest.json: damaged \("),
        ("[" * 100_000, r"manifest.json: damaged \("),
        ("[]", r"damaged \(not a JSON object\)"),
        ('{"full_test": []}', r"expected a list 'full_train' \(got \['full_test'\]\)"),
        ('{"full_train": []}', "expected 'full_train' to be a list of case names"),
        ('{"full_train": ["../../etc"]}', "expected 'full_train' to be a list of case names"),
        ('{"full_train": ["/etc/x"]}', "expected 'full_train' to be a list of case names"),
        ('{"full_train": [1]}', "expected 'full_train' to be a list of case names"),
    ],
)
def test_bad_manifest(tmp_path, text, message):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        AirfRANS(tmp_path)


def test_damaged_cases(tmp_path):
    names = [f"airFoil2D_SST_50.0_1.0_{letter}" for letter in "abcdefg"]
    for seed, name in enumerate(names[:-1]):
        write_case(tmp_path, name, seed)

    def file(number, end):
        return tmp_path / names[number] / f"{names[number]}_{end}"

    file(0, "internal.vtu").write_bytes(file(0, "internal.vtu").read_bytes()[:-2000])
    file(1, "aerofoil.vtp").write_text("hello")
    mesh = pyvista.read(file(2, "internal.vtu"))
    del mesh.point_data["nut"]
    mesh.save(file(2, "internal.vtu"))
    mesh = pyvista.read(file(3, "aerofoil.vtp"))
    mesh.points += 1
    mesh.save(file(3, "aerofoil.vtp"))
    pyvista.read(file(4, "internal.vtu")).triangulate().save(file(4, "internal.vtu"))
    mesh = pyvista.read(file(5, "internal.vtu"))
    mesh["p"][3] = np.nan
    mesh.save(file(5, "internal.vtu"))
    plain = "airFoil2D"
    write_case(tmp_path, plain)
    (tmp_path / "manifest.json").write_text(json.dumps({"full_train": [*names, plain]}))
    data_set = AirfRANS(tmp_path)
    expected = (
        "a_internal.vtu: not a whole VTK XML file",
        "b_aerofoil.vtp: not a whole VTK XML file",
        "c_internal.vtu: no array 'nut' in PointData; it has",
        "d_aerofoil.vtp: 12 of 12 nodes on the aerofoil are not in it",
        "e_internal.vtu: expected quads only",
        "_f': 1 values of 'y' are NaN",
    )
    for index, message in enumerate(expected):
        with pytest.raises(ValueError, match=message):
            data_set[index]
    with pytest.raises(
        FileNotFoundError, match="g_internal.vtu: no such file; get it from https://"
    ):
        data_set[6]
    with pytest.raises(ValueError, match="case 'airFoil2D': expected the speed and the angle"):
        data_set[7]
    with pytest.raises(ValueError, match="no case of 8 can be used"):
        AirfRANS(tmp_path, skip_bad=True)


def test_download(tmp_path, monkeypatch):
    called = []

    def download_file(url, path):
        called.append(url)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def extract_zip(path, folder, *, max_bytes):
        called.append((path, folder, max_bytes))

    monkeypatch.setattr("flare_mesh.io.download.download_file", download_file)
    monkeypatch.setattr("flare_mesh.io.archives.extract_zip", extract_zip)
    AirfRANS.download(tmp_path, max_bytes=7)
    assert called == [AirfRANS.ADDRESS, (tmp_path / "Dataset.zip", tmp_path, 7)]
    assert not (tmp_path / "Dataset.zip").exists()
    # A whole set is not fetched again; one without a file is.
    write_case(tmp_path / "Dataset", NAMES[0])
    manifest = json.dumps({"full_train": NAMES[:1], "full_test": NAMES[:1]})
    (tmp_path / "Dataset/manifest.json").write_text(manifest)
    AirfRANS.download(tmp_path)
    assert len(called) == 2
    (tmp_path / "Dataset" / NAMES[0] / f"{NAMES[0]}_internal.vtu").unlink()
    AirfRANS.download(tmp_path)
    assert len(called) == 4
