"""Readers of files, and a writer of a whole file for each."""

import hashlib
import io
import tempfile
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
import trimesh
from scipy.io import savemat

from flare_mesh import FLAREOperator, Surrogate, read_mesh
from flare_mesh.cases.case_files import series_steps
from flare_mesh.cases.case_scalars import TableScalars
from flare_mesh.cli import main
from flare_mesh.datasets import LPBF, MeshFolder, PointFolder
from flare_mesh.datasets.tfrecord import TFRecordFile, parse_example
from flare_mesh.io.mat import MatFile
from flare_mesh.io.mesh_formats import mesh_format
from flare_mesh.models import load as load_model
from flare_mesh.surrogate.load import load_surrogate
from flare_mesh.training import FieldModule
from lpbf import Process
from lpbf.calibrate import Bridge, Measurement
from lpbf.calibrate.template import write_specimen
from lpbf.core.part import load_part
from lpbf.core.sliced_file import read_sliced
from tests.datasets import conftest as test_records
from tests.fuzz.mesh_seeds import MESHES, solid
from tests.lpbf.core import test_part
from tests.lpbf.core.test_sliced_file import tube


@dataclass(frozen=True)
class Target:
    """A reader and its seed.

    Attributes:
        entry: Name of the file or folder that is read, below the folder of the seed.
        write: Writes the seed into a folder.
        read: Reads the entry; a digest of each part of the content.
        has_end: Whether a file that is cut off can be told from a whole one; not so in YAML.
    """

    entry: str
    write: Callable[[Path], None]
    read: Callable[[Path], dict[str, str]]
    has_end: bool = True


def digest(values: Mapping[str, Any]) -> dict[str, str]:
    """Checksums of arrays and plain values."""
    return {key: hashlib.sha256(_bytes(value)).hexdigest() for key, value in values.items()}


def _bytes(value: Any) -> bytes:
    if isinstance(value, torch.Tensor):
        value = value.numpy(force=True)
    if not isinstance(value, np.ndarray):
        return repr(value).encode(errors="backslashreplace")
    return f"{value.dtype.str} {value.shape}".encode() + np.ascontiguousarray(value).tobytes()


def _mesh(path: Path) -> dict[str, str]:
    step = None if mesh_format(path).times is None else 0
    return digest(read_mesh(path, step=step, edges=False).to_dict())


def _series(path: Path) -> dict[str, str]:
    meshes = [read_mesh(step.file, step=step.number) for step in series_steps(path)]
    times = [step.time for step in series_steps(path)]
    return digest({str(i): digest(mesh.to_dict()) for i, mesh in enumerate(meshes)} | {"t": times})


def _write_folder(folder: Path) -> None:
    mesh = solid()
    for name in "ab":
        mesh.to_pyvista().save(folder / f"{name}.vtu")
    MeshFolder(folder, None, inputs=["temperature"], targets=["velocity"])


def _read_folder(path: Path) -> dict[str, str]:
    data = MeshFolder(path, None, inputs=["temperature"], targets=["velocity"])
    return digest({str(i): digest(data[i].to_dict()) for i in range(len(data))})


def _write_npz(folder: Path) -> None:
    rng = np.random.default_rng(0)
    (folder / "train").mkdir()
    np.savez_compressed(
        folder / "train/a.npz",
        **{"pos": rng.random((20, 3)), "disp": rng.random((20, 3)), "vmstr": rng.random(20)},
        temp=rng.random(20),
        edge_index=np.arange(20).reshape(2, 10),
        elems=np.arange(16).reshape(2, 8),
    )


def _read_npz(path: Path) -> dict[str, str]:
    return digest(LPBF(path, targets=["displacement", "von_mises"])[0].to_dict())


def _write_npy(folder: Path) -> None:
    (folder / "train/a").mkdir(parents=True)
    np.save(folder / "train/a/pos.npy", np.random.default_rng(0).random((20, 3)))
    np.save(folder / "train/a/p.npy", np.arange(20.0))


def _write_hdf5(folder: Path) -> None:
    (folder / "train").mkdir()
    with h5py.File(folder / "train/a.h5", "w") as file:
        file.create_dataset("pos", data=np.random.default_rng(0).random((20, 3)), chunks=(5, 3))
        file.create_dataset("p", data=np.arange(20.0), compression="gzip")


def _read_points(path: Path) -> dict[str, str]:
    return digest(PointFolder(path, targets=["p"])[0].to_dict())


def _read_mat(path: Path) -> dict[str, str]:
    file = MatFile(path)
    return digest({name: file.read(name) for name in file.shapes})


def _write_process(folder: Path) -> None:
    Process(material="Ti-6Al-4V", layer_height=0.05, inherent_strain=(-0.01, -0.01, 0.0)).to_yaml(
        folder / "process.yaml"
    )


def _read_process(path: Path) -> dict[str, str]:
    return digest(Process.from_yaml(path).to_dict())


def _write_measurement(folder: Path) -> None:
    template = write_specimen(Bridge(), folder / "bridge.stl", preset="316L")
    template.write_text(template.read_text().replace("value: }", "value: 0.25}"))


def _read_measurement(path: Path) -> dict[str, str]:
    m = Measurement.from_yaml(path)
    values = [(p.position, p.direction.tolist(), p.value, p.uncertainty) for p in m.points]
    others = (m.specimen, m.pitch, m.parameters, m.uncertainty, m.intervals, m.alignment)
    return digest({"process": m.process.to_dict(), "points": values, "others": str(others)})


def _operator() -> FLAREOperator:
    torch.manual_seed(0)
    return FLAREOperator(2, 4, hidden_channels=8, num_layers=1, heads=2, num_latents=3)


def _write_surrogate(folder: Path) -> None:
    Surrogate(_operator(), {"u": 3, "p": 1}, units={"u": "mm"}, info={"a": 1}).save(folder)


def _read_surrogate(path: Path) -> dict[str, str]:
    surrogate = Surrogate.load(path)
    return digest({**surrogate.state_dict(), "fields": surrogate.fields, "info": surrogate.info})


def _write_checkpoint(folder: Path) -> None:
    module = FieldModule(Surrogate(_operator(), {"u": 4}))
    found = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(found)
    torch.save(found, folder / "last.ckpt")


def _read_checkpoint(path: Path) -> dict[str, str]:
    return digest(load_surrogate(path).state_dict())


def _write_config(folder: Path) -> None:
    (folder / "config.yaml").write_text(
        "trainer:\n  max_epochs: 3\n  accelerator: cpu\n  callbacks:\n"
        "  - class_path: lightning.pytorch.callbacks.EarlyStopping\n"
        "    init_args: {monitor: val_relative_l2, patience: 3}\n"
        "model:\n  name: flare\n  options: {hidden_channels: 8, num_layers: 1}\n"
        "  optimizer: {lr: 1e-3}\n"
        "data:\n  name: mesh_folder\n  root: nowhere\n  options: {inputs: [a], targets: [u]}\n"
    )


def _read_config(path: Path) -> dict[str, str]:
    out, messages = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(messages):
        try:
            code = main(["fit", "--config", str(path), "--print_config"])
        except SystemExit as end:  # after the configuration is printed
            code = end.code
    if code:
        raise ValueError(messages.getvalue().strip())
    return digest({"config": out.getvalue()})


def _write_records(folder: Path) -> None:
    one = test_records.example(a=np.arange(3), b=np.ones(4))
    test_records.write_records(folder / "a.tfrecord", [one, one])


def _read_records(path: Path) -> dict[str, str]:
    with tempfile.TemporaryDirectory() as cache:
        file = TFRecordFile(path, Path(cache))
        examples = [parse_example(file[number]) for number in range(len(file))]
        return digest({str(i): {k: bytes(v) for k, v in e.items()} for i, e in enumerate(examples)})


def _write_step(folder: Path) -> None:
    (folder / "box.step").write_text(test_part.step_box((4, 5, 6), "mm"))


def _write_table(folder: Path) -> None:
    (folder / "runs.csv").write_text("case;load;width\na;1.5;2\nb;2.5;3e-1\n")


def _read_table(path: Path) -> dict[str, str]:
    table = TableScalars(path)
    return digest({name: table.values(name, table.columns) for name in "ab"})


def _write_part(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        box: Any = trimesh.creation.box((4.0, 5.0, 6.0))
        box = trimesh.Scene([box]) if name.endswith(".3mf") else box
        options = {"file_type": "stl_ascii"} if name == "ascii.stl" else {}
        box.export(folder / name, **options)

    return write


def _read_part(path: Path) -> dict[str, str]:
    part = load_part(path)
    return digest({"vertices": np.array(part.vertices), "faces": np.array(part.faces)})


def _write_sliced(binary: bool) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "a.cli").write_bytes(tube(binary=binary))

    return write


def _read_sliced(path: Path) -> dict[str, str]:
    part = read_sliced(path)
    points = np.concatenate([points for layer in part.contours for points in layer])
    return digest({"tops": part.tops, "points": points})


TARGETS: dict[str, Target] = {
    **{
        name: Target(entry, write, _series if name == "pvd" else _mesh)
        for name, (entry, write) in MESHES.items()
    },
    "mesh folder": Target(".", _write_folder, _read_folder),
    "npz": Target(".", _write_npz, _read_npz),
    "npy": Target(".", _write_npy, _read_points),
    "hdf5": Target(".", _write_hdf5, _read_points),
    "mat": Target(
        "a.mat",
        lambda folder: savemat(folder / "a.mat", {"u": np.arange(12.0).reshape(3, 4)}),
        _read_mat,
    ),
    "surrogate": Target(".", _write_surrogate, _read_surrogate),
    "checkpoint": Target("last.ckpt", _write_checkpoint, _read_checkpoint),
    "config": Target("config.yaml", _write_config, _read_config, has_end=False),
    "tfrecord": Target("a.tfrecord", _write_records, _read_records),
    "sliced text": Target("a.cli", _write_sliced(False), _read_sliced),
    "sliced binary": Target("a.cli", _write_sliced(True), _read_sliced, has_end=False),
    "part step": Target("box.step", _write_step, _read_part),
    "model": Target(
        ".",
        lambda folder: _operator().save(folder),
        lambda path: digest(load_model(path).state_dict()),
    ),
    "table": Target("runs.csv", _write_table, _read_table),
    "process": Target("process.yaml", _write_process, _read_process, has_end=False),
    "measurement": Target("bridge.yaml", _write_measurement, _read_measurement, has_end=False),
    **{
        f"part {name}": Target(name, _write_part(name), _read_part)
        for name in ("box.stl", "ascii.stl", "box.ply", "box.obj", "box.off", "box.3mf")
    },
}
"""The readers by name."""
