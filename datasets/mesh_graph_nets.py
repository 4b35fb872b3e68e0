"""Time-dependent flows on triangle meshes: the data of MeshGraphNets."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from flare_mesh.choices import check_choice
from flare_mesh.data.time_window import TimeWindow
from flare_mesh.datasets.array_dataset import float32_tensor
from flare_mesh.datasets.field_dataset import FieldDataset, find_file
from flare_mesh.datasets.tfrecord import TFRecordFile, parse_example
from flare_mesh.files import read_json_object
from flare_mesh.mesh import MeshData, check_node_numbers

_SPLITS = ("train", "valid", "test")
_NODE_TYPES = 9


def _units(states: Mapping[str, str]) -> dict[str, str]:
    kinds = ("in", "out", "increment")
    return {"node_type": "1"} | {f"{s}_{k}": unit for s, unit in states.items() for k in kinds}


class _MeshGraphNets(FieldDataset):
    """Base of CylinderFlow and AirfoilFlow."""

    SOURCE: ClassVar[str] = ""
    """The set's folder in the authors' storage."""
    STATES: ClassVar[Mapping[str, int]] = {}
    """Channels of each time-dependent field."""
    PREDICTED: ClassVar[tuple[str, ...]] = ()
    """Inputs of the authors' model, whose increments it predicts."""

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        mode: str = "windows",
        window: tuple[int, int | None] | None = None,
        inputs: Sequence[str] | None = None,
        targets: Sequence[str] | None = None,
        transform: Callable[[Any], Any] | None = None,
        skip_bad: bool = False,
    ) -> None:
        name = type(self).__name__
        check_choice(f"{name}: unknown split", split, _SPLITS)
        self.split, self.mode = split, mode
        path = find_file(root, f"{self.SOURCE}/meta.json", self.ADDRESS)
        self._features, self._steps, self.time_step = _read_meta(path, self.STATES)
        default = (1, None if mode == "rollout" else 1)
        self._windows = TimeWindow.from_trajectory(self._steps, window or default, mode, name)
        records = find_file(root, f"{self.SOURCE}/{split}.tfrecord", self.ADDRESS)
        self._records = TFRecordFile(records, Path(root, "processed", self.SOURCE))
        self.FIELDS = {"node_type": _NODE_TYPES}
        for state, channels in self.STATES.items():
            self.FIELDS[f"{state}_in"] = self._windows.num_in * channels
            self.FIELDS[f"{state}_out"] = self._windows.num_out * channels
            self.FIELDS[f"{state}_increment"] = self._windows.num_out * channels
        if inputs is None:
            inputs = ["node_type", *(f"{state}_in" for state in self.PREDICTED)]
        if targets is None:
            kind = "out" if mode == "rollout" else "increment"
            targets = [f"{state}_{kind}" for state in self.PREDICTED]
        cases = [
            case
            for number in range(len(self._records))
            for case in self._windows.names(f"{split}_{number:04d}")
        ]
        super().__init__(root, cases, inputs, targets, transform=transform, skip_bad=skip_bad)

    def read(self, index: int) -> MeshData:
        number, start = divmod(index, len(self._windows.starts))
        place = f"{self._records.path}, record {number}"
        payload = self._records[number]
        try:
            features = parse_example(payload)
            pos = self._array(features, "mesh_pos")[0]
            triangles = self._array(features, "cells")[0]
            types = self._array(features, "node_type")[0, :, 0]
            if pos.shape[1] != 2 or len(types) != len(pos):
                raise ValueError(
                    f"expected 'mesh_pos' [1, N, 2] and 'node_type' [1, N, 1] (got "
                    f"{[1, *pos.shape]} and {[1, len(types), 1]})"
                )
            check_node_numbers("cells", triangles, len(pos))
            if not ((types >= 0) & (types < _NODE_TYPES)).all():
                raise ValueError(f"expected 'node_type' from 0 to {_NODE_TYPES - 1}")
            states = {
                name: self._array(features, name)
                for name in self.STATES
                if any(field.startswith(f"{name}_") for field in (*self.inputs, *self.targets))
            }
            for name, values in states.items():
                expected = (self._steps, len(pos), self.STATES[name])
                if values.shape != expected:
                    raise ValueError(
                        f"expected '{name}' {list(expected)} (got {list(values.shape)})"
                    )
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from error

        data = MeshData(
            pos=float32_tensor(pos), triangle=torch.from_numpy(triangles.astype(np.int64))
        )
        kinds = torch.from_numpy(types.astype(np.int64))
        data.node_type = torch.nn.functional.one_hot(kinds, _NODE_TYPES).float()
        data.loss_mask = (kinds == 0) | (kinds == 5)
        now = start + self._windows.num_in
        for name, values in states.items():
            known, later = values[start:now], values[now : now + self._windows.num_out]
            before = values[now - 1 : now - 1 + self._windows.num_out]
            data[f"{name}_in"] = _time_major(known)
            data[f"{name}_out"] = _time_major(later)
            data[f"{name}_increment"] = _time_major(later - before)
        return data

    def _array(self, features: dict[str, memoryview], name: str) -> NDArray[Any]:
        if name not in features:
            raise ValueError(f"expected a feature '{name}' (got {sorted(features)})")
        dtype, shape = self._features[name]
        try:
            return np.frombuffer(features[name], dtype).reshape(shape)
        except ValueError as error:
            raise ValueError(
                f"expected '{name}' of shape {list(shape)} and type {dtype}, as in meta.json "
                f"(got {len(features[name]):,} bytes)"
            ) from error

    @classmethod
    def download(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, root: str | Path, *, splits: Iterable[str] = _SPLITS
    ) -> None:
        """Download ``meta.json`` and the records of ``splits`` below ``root``.

        Args:
            root: Parent of the set's folder.
            splits: Some of ``"train"``, ``"valid"`` and ``"test"``.
        """
        from flare_mesh.io.download import download_file

        for name in ("meta.json", *(f"{split}.tfrecord" for split in splits)):
            download_file(f"{cls.ADDRESS}{name}", Path(root, cls.SOURCE, name))


class CylinderFlow(_MeshGraphNets):
    """Vortex streets behind cylinders, from MeshGraphNets (arXiv 2010.03409): incompressible flow.

    Files: ``cylinder_flow/meta.json`` and ``{train,valid,test}.tfrecord`` with 1,000, 100 and 100
    records: trajectories of 600 states, 0.01 s apart, each on its own triangle mesh of about 1,900
    nodes. A case is a step of a trajectory: the current state and the next. The published target is
    the increment of the velocity, normalised by its mean and standard deviation over the training
    set, as are the inputs; the published training adds noise (standard deviation 0.02) to the
    velocity of normal nodes and leaves out the first state of each trajectory.

    Fields: ``velocity`` (2 channels, m/s) and ``pressure`` (1, Pa), each as ``<state>_in``,
    ``<state>_out`` and ``<state>_increment`` (from one state to the next) over the steps of the
    window, with component c of step t in channel t C + c; ``node_type`` [N, 9], one-hot: 0 normal,
    1 obstacle, 2 airfoil, 3 handle, 4 inflow, 5 outflow, 6 wall. ``loss_mask`` [N] marks the nodes
    of types 0 and 5, whose error counts and which a rollout updates.

    Args:
        root: ``cylinder_flow`` or its parent.
        split: ``"train"``, ``"valid"`` or ``"test"``.
        mode: ``"windows"`` for a case at each time step, ``"rollout"`` for one per trajectory.
        window: Known states, and states to predict; None for all states that follow. By default
            (1, 1), in rollouts (1, None).
        inputs: Fields of ``x``; by default the node type and the predicted states.
        targets: Fields of ``y``; by default the increments of the predicted states, in rollouts
            the states.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Leaves out cases that cannot be used.

    Attributes:
        time_step: Seconds between two states.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If an option is unknown or a file is damaged; the message names the record.
    """

    SOURCE = "cylinder_flow"
    STATES = {"velocity": 2, "pressure": 1}
    PREDICTED = ("velocity",)
    UNITS = _units({"velocity": "m/s", "pressure": "Pa"})
    ADDRESS = "https://storage.googleapis.com/dm-meshgraphnets/cylinder_flow/"
    STATS: ClassVar[dict[str, int]] = {"train": 1000, "valid": 100, "test": 100, "states": 600}


class AirfoilFlow(_MeshGraphNets):
    """Transonic flow around aerofoils, from MeshGraphNets (arXiv 2010.03409): compressible flow.

    Files, options and fields are those of :class:`CylinderFlow`, in the folder ``airfoil``, with
    601 states, 0.0002 s apart, on about 5,200 nodes; a field ``density`` (1 channel,
    kg/m^3); and the node types 0, 2 (aerofoil) and 4 (inflow). Density and velocity are predicted
    by default; the paper's model also predicts the pressure, ``pressure_out``.
    """

    SOURCE = "airfoil"
    STATES = {"velocity": 2, "density": 1, "pressure": 1}
    PREDICTED = ("velocity", "density")
    UNITS = _units({"velocity": "m/s", "density": "kg/m^3", "pressure": "Pa"})
    ADDRESS = "https://storage.googleapis.com/dm-meshgraphnets/airfoil/"
    STATS: ClassVar[dict[str, int]] = {"train": 1000, "valid": 100, "test": 100, "states": 601}


def _time_major(values: NDArray[Any]) -> torch.Tensor:
    """[T, N, C] as [N, T * C], a copy."""
    return float32_tensor(values.transpose(1, 0, 2)).flatten(1)


def _read_meta(
    path: Path, states: Mapping[str, int]
) -> tuple[dict[str, tuple[np.dtype, tuple[int, ...]]], int, float]:
    """Type and shape of each feature, states per trajectory, and seconds between two states."""
    types = {"int32": "<i4", "int64": "<i8", "float32": "<f4", "float64": "<f8"}
    meta = read_json_object(path)
    try:
        features = {}
        for name in ("cells", "mesh_pos", "node_type", *states):
            feature = meta["features"][name]
            dtype = types[feature["dtype"]]
            shape = tuple(int(size) for size in feature["shape"])
            if len(shape) != 3 or shape.count(-1) > 1 or min(shape) < -1:
                raise ValueError(f"'{name}' has the shape {list(shape)}")
            features[name] = (np.dtype(dtype), shape)
        steps, seconds = int(meta["trajectory_length"]), float(meta["dt"])
        for name in states:
            if features[name][1][0] not in (steps, -1):
                raise ValueError(f"'{name}' does not have trajectory_length = {steps} states")
        return features, steps, seconds
    except (ValueError, TypeError, KeyError) as error:
        text = f"no {error}" if isinstance(error, KeyError) else str(error)
        raise ValueError(
            f"{path}: expected features, trajectory_length and dt as in the published file ({text})"
        ) from error
