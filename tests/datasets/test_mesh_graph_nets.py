import json
import pickle

import numpy as np
import pytest
import torch
from torch_geometric.loader import DataLoader

from flare_mesh.datasets.mesh_graph_nets import AirfoilFlow, CylinderFlow

STEPS = 6


def feature(kind, channels, dtype="float32"):
    return {"type": kind, "shape": [1 if kind == "static" else STEPS, -1, channels], "dtype": dtype}


META = {
    "simulator": "comsol",
    "dt": 0.01,
    "collision_radius": None,
    "features": {
        "cells": feature("static", 3, "int32"),
        "mesh_pos": feature("static", 2),
        "node_type": feature("static", 1, "int32"),
        "velocity": feature("dynamic", 2),
        "pressure": feature("dynamic", 1),
    },
    "field_names": ["cells", "mesh_pos", "node_type", "velocity", "pressure"],
    "trajectory_length": STEPS,
}


def trajectory(seed, nodes=None, density=False):
    """A fan of triangles around node 0, with all published types of nodes."""
    rng = np.random.default_rng(seed)
    nodes = nodes or 7 + seed
    ring = np.arange(1, nodes)
    arrays = {
        "cells": np.stack([0 * ring, ring, np.roll(ring, -1)], axis=1)[None].astype(np.int32),
        "mesh_pos": rng.random((1, nodes, 2)).astype(np.float32),
        "node_type": rng.permutation(np.resize([0, 5, 4, 6], nodes))[None, :, None].astype(
            np.int32
        ),
        "velocity": rng.normal(size=(STEPS, nodes, 2)).astype(np.float32),
        "pressure": rng.normal(size=(STEPS, nodes, 1)).astype(np.float32),
    }
    if density:
        arrays["density"] = rng.normal(1.2, 0.1, (STEPS, nodes, 1)).astype(np.float32)
    return arrays


@pytest.fixture
def write(write_examples):
    def write(root, name="cylinder_flow", density=False, dt=0.01):
        folder = root / name
        made = {}
        for split, seeds in (("train", (0, 1, 2)), ("valid", (3,)), ("test", (4, 5))):
            made[split] = [trajectory(seed, density=density) for seed in seeds]
            write_examples(folder / f"{split}.tfrecord", *made[split])
        meta = json.loads(json.dumps({**META, "dt": dt}))
        if density:
            meta["features"]["density"] = feature("dynamic", 1)
        (folder / "meta.json").write_text(json.dumps(meta))
        return made

    return write


@pytest.fixture
def made(write, tmp_path):
    return write(tmp_path)


def test_pairs(made, tmp_path):
    data_set = CylinderFlow(tmp_path)
    assert len(data_set) == 3 * (STEPS - 1)
    assert len(CylinderFlow(tmp_path, "valid")) == STEPS - 1
    assert len(CylinderFlow(tmp_path / "cylinder_flow", "test")) == 2 * (STEPS - 1)
    assert data_set.time_step == 0.01
    assert data_set.input_channels == {"node_type": 9, "velocity_in": 2}
    assert data_set.target_channels == {"velocity_increment": 2}
    arrays = made["train"][1]
    for step in range(STEPS - 1):
        data = data_set[STEPS - 1 + step]
        assert data.case_id == f"train_0001_t{step}"
        types = arrays["node_type"][0, :, 0]
        np.testing.assert_array_equal(data.pos, arrays["mesh_pos"][0])
        np.testing.assert_array_equal(data.triangle, arrays["cells"][0])
        np.testing.assert_array_equal(data.x, np.c_[np.eye(9)[types], arrays["velocity"][step]])
        change = arrays["velocity"][step + 1] - arrays["velocity"][step]
        np.testing.assert_array_equal(data.y, change)
        assert data.loss_mask.tolist() == [int(t) in (0, 5) for t in types]


def test_windows(made, tmp_path):
    data_set = CylinderFlow(
        tmp_path,
        window=(2, 3),
        inputs=["pressure_in", "velocity_in"],
        targets=["velocity_out", "velocity_increment"],
    )
    assert len(data_set) == 3 * (STEPS - 4)
    velocity, pressure = made["train"][2]["velocity"], made["train"][2]["pressure"]
    data = data_set[5]  # the last window
    assert data.case_id == "train_0002_t1"
    known = np.c_[pressure[1], pressure[2], velocity[1], velocity[2]]
    np.testing.assert_array_equal(data.x, known)
    later = [velocity[t] for t in (3, 4, 5)] + [velocity[t] - velocity[t - 1] for t in (3, 4, 5)]
    np.testing.assert_array_equal(data.y, np.concatenate(later, axis=1))


def test_rollouts(made, tmp_path):
    data_set = CylinderFlow(tmp_path, "test", mode="rollout")
    assert data_set.cases == ["test_0000", "test_0001"]
    data, velocity = data_set[1], made["test"][1]["velocity"]
    np.testing.assert_array_equal(data.x[:, 9:], velocity[0])
    np.testing.assert_array_equal(data.y, np.concatenate([*velocity[1:]], axis=1))
    assert data_set.target_channels == {"velocity_out": 2 * (STEPS - 1)}
    short = CylinderFlow(tmp_path, "test", mode="rollout", window=(2, 1), targets=["pressure_out"])
    np.testing.assert_array_equal(short[1].y, made["test"][1]["pressure"][2])


def test_airfoil(write, tmp_path):
    made = write(tmp_path, "airfoil", density=True, dt=0.0002)
    data_set = AirfoilFlow(tmp_path)
    assert data_set.time_step == 0.0002
    assert data_set.input_channels == {"node_type": 9, "velocity_in": 2, "density_in": 1}
    assert data_set.target_channels == {"velocity_increment": 2, "density_increment": 1}
    arrays, data = made["train"][0], data_set[3]
    np.testing.assert_array_equal(data.x[:, 11:], arrays["density"][3])
    np.testing.assert_array_equal(data.y[:, 2:], arrays["density"][4] - arrays["density"][3])
    assert set(data_set.FIELDS) == set(AirfoilFlow.UNITS)


@pytest.mark.parametrize("workers", [0, 2])
def test_batches(made, tmp_path, workers):
    data_set = CylinderFlow(tmp_path)
    loader = DataLoader(data_set, batch_size=6, num_workers=workers)
    batch = next(iter(loader))
    sizes = [7] * 5 + [8]
    assert batch.ptr.tolist() == np.cumsum([0, *sizes]).tolist()
    assert batch.x.shape == (43, 11)
    assert batch.loss_mask.shape == (43,)
    assert batch.triangle[:, 0].unique().tolist() == batch.ptr[:-1].tolist()
    for i in range(6):
        assert torch.equal(batch[i].y, data_set[i].y)
    assert sum(len(b.case_id) for b in loader) == 15


def test_pickle_holds_no_data(made, tmp_path):
    data_set = CylinderFlow(tmp_path)
    first = data_set[7].y
    text = pickle.dumps(data_set)
    assert len(text) < 5000
    assert torch.equal(pickle.loads(text)[7].y, first)


def test_only_touched_frames_are_copied(made, tmp_path, monkeypatch):
    """After the first access of a trajectory, a pair costs no more than its own states."""
    data_set = CylinderFlow(tmp_path)
    data_set[0]

    def never(*args):
        raise AssertionError("the whole record was read again")

    monkeypatch.setattr("flare_mesh.datasets.tfrecord._masked_crc32c", never)
    assert data_set[3].y.shape == (7, 2)


def test_bad_options(made, tmp_path):
    for options, message in (
        ({"split": "val"}, "unknown split 'val'; did you mean 'valid'"),
        ({"mode": "all"}, "unknown mode 'all'"),
        ({"window": (4, 3)}, "window"),
        ({"targets": ["density_out"]}, r"unknown targets \['density_out'\]"),
    ):
        with pytest.raises(ValueError, match=message):
            CylinderFlow(tmp_path, **options)
    with pytest.raises(
        FileNotFoundError, match=r"airfoil/meta.json: no such file; get it from https"
    ):
        AirfoilFlow(tmp_path)
    (tmp_path / "cylinder_flow/test.tfrecord").unlink()
    with pytest.raises(FileNotFoundError, match=r"test.tfrecord: no such file; get it from https"):
        CylinderFlow(tmp_path, "test")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda meta: "{", r"meta.json: damaged \("),
        (lambda meta: "[]", "not a JSON object"),
        (lambda meta: meta.pop("dt"), "no 'dt'"),
        (lambda meta: meta["features"].pop("velocity"), "no 'velocity'"),
        (lambda meta: meta["features"]["cells"].update(dtype="object"), "no 'object'"),
        (lambda meta: meta["features"]["cells"].update(shape=[1, -1]), r"has the shape \[1, -1\]"),
        (lambda meta: meta["features"]["cells"].update(shape=[-1, -1, 3]), "has the shape"),
        (lambda meta: meta.update(trajectory_length=9), "not have trajectory_length = 9 states"),
    ],
)
def test_bad_meta(made, tmp_path, change, message):
    meta = json.loads(json.dumps(META))
    text = change(meta)
    text = text if isinstance(text, str) else json.dumps(meta)
    (tmp_path / "cylinder_flow/meta.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        CylinderFlow(tmp_path)


def test_damaged_records(tmp_path, write, write_examples):
    write(tmp_path)
    bad = [trajectory(seed) for seed in range(7)]
    del bad[0]["node_type"]
    bad[1]["velocity"] = bad[1]["velocity"][:-1]
    bad[2]["cells"][0, 2, 1] = 99
    bad[3]["node_type"][0, 1, 0] = 9
    bad[4]["velocity"] = bad[4]["velocity"][:, :-1]
    bad[5]["velocity"][2, 1, 0] = np.nan
    path = tmp_path / "cylinder_flow/train.tfrecord"
    write_examples(path, *bad)
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)
    data_set = CylinderFlow(tmp_path, mode="rollout")
    for index, message in enumerate(
        (
            r"record 0: expected a feature 'node_type' \(got \['cells', 'mesh_pos'",
            r"record 1: expected 'velocity' of shape \[6, -1, 2\] and .* \(got 320 bytes\)",
            r"record 2: expected node numbers from 0 to 8 in 'cells' \(got 0 to 99\)",
            "record 3: expected 'node_type' from 0 to 8",
            r"record 4: expected 'velocity' \[6, 11, 2\] \(got \[6, 10, 2\]\)",
            "case 'train_0005': 1 values of 'y' are NaN",
            "record 6: wrong checksum",
        )
    ):
        with pytest.raises(ValueError, match=message):
            data_set[index]
    write_examples(path, *bad[:1], trajectory(9))
    assert CylinderFlow(tmp_path, mode="rollout", skip_bad=True)[0].case_id == "train_0001"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"record 1: declares [\d,]+ bytes, .* it is truncated"):
        CylinderFlow(tmp_path)


def test_download(tmp_path, monkeypatch):
    called = []
    monkeypatch.setattr(
        "flare_mesh.io.download.download_file", lambda url, path: called.append((url, path))
    )
    AirfoilFlow.download(tmp_path, splits=["test"])
    address = "https://storage.googleapis.com/dm-meshgraphnets/airfoil/"
    assert called == [
        (f"{address}{name}", tmp_path / "airfoil" / name) for name in ("meta.json", "test.tfrecord")
    ]
