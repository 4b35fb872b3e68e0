"""PDEBench: solutions of partial differential equations on grids of one to three dimensions."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from flare_mesh.choices import check_choice
from flare_mesh.data.time_window import TimeWindow
from flare_mesh.datasets.field_dataset import FieldDataset, find_file
from flare_mesh.datasets.find_one import find_one
from flare_mesh.datasets.grid import grid_cells, grid_positions
from flare_mesh.datasets.pdebench_files import PDEBENCH_FILES
from flare_mesh.datasets.pdebench_layout import open_pdebench
from flare_mesh.mesh import MeshData

_BLOCK = 4096
_ORDER = ("density", "pressure", "Vx", "Vy", "Vz")


class PDEBench(FieldDataset):
    """A file of PDEBench (arXiv 2210.07182). Licence: CC BY 4.0.

    ====================================  =================================  =====  =======  =====
    files                                 fields                             grid   samples  steps
    ====================================  =================================  =====  =======  =====
    ``1D_Advection_*``, ``1D_Burgers_*``  ``tensor``                         1,024  10,000   201
    ``ReacDiff_*``                        ``tensor``                         1,024  10,000   101
    ``1D_CFD_*``                          ``density``, ``pressure``, ``Vx``  1,024  10,000   101
    ``2D_CFD_*``                          as ``1D_CFD_*``, and ``Vy``        128^2  10,000   21
    ``2D_CFD_*``                          as ``1D_CFD_*``, and ``Vy``        512^2  1,000    21
    ``3D_CFD_*``                          as ``2D_CFD_*``, and ``Vz``        128^3  100      21
    ``1D_diff-sorp_NA_NA.h5``             ``data``, 1 channel                1,024  10,000   101
    ``2D_DarcyFlow_*``                    ``nu`` to ``tensor``               128^2  10,000   1
    ``2D_diff-react_NA_NA.h5``            ``data``, 2 channels               128^2  1,000    101
    ``2D_rdb_NA_NA.h5``                   ``data``, 1 channel                128^2  1,000    101
    ====================================  =================================  =====  =======  =====

    The content of the file determines its layout: one array per field, with or without time, or
    one group per sample. The incompressible flows (``ns_incom_*``) are stored without coordinates
    and are not supported. All fields are dimensionless, and PDEBench does not normalise them.

    If fields are time-dependent, ``state_in`` [N, n_in C] and ``state_out`` [N, n_out C] hold the
    chosen ones, with step t of component c in channel t C + c. ``x`` and ``y`` begin with them;
    constant fields follow. ``pos`` [N, d]; ``line``, ``quad`` or ``hexahedron`` [E, 2^d].

    Args:
        root: Folder of the file, or any folder on its path in PDEBench.
        split: ``"train"`` or ``"test"``.
        file: Name of the file, if there are several.
        inputs: Names of fields. By default all time-dependent ones, or all but ``tensor``.
        targets: Names of fields. By default all time-dependent ones, or ``tensor``.
        window: Steps in the input, n_in, and in the target, n_out; None for all steps after the
            input, as in PDEBench's evaluation. Its training predicts one step at a time.
        mode: ``"rollout"`` for one case per sample, from its first step; ``"windows"`` for a case
            at each step where a window fits.
        stride: Step between the nodes that are taken along each axis (PDEBench: 4 in one
            dimension, 2 in more, 1 in ``1D_diff-sorp``, ``2D_diff-react`` and ``2D_rdb``).
        time_stride: Step between the time steps that are taken (PDEBench: 5 in one dimension,
            otherwise 1).
        convention: ``"pdebench"`` tests on the first samples of a file of arrays and on the last
            of a file of groups; ``"transolver"`` on the last of both.
        test_fraction: Share of the test samples.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Leaves out cases that cannot be used.

    Attributes:
        time_step: Time between two steps; None if the file has no times.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file or an option is wrong.
    """

    ADDRESS = "https://doi.org/10.18419/darus-2986"
    STATS: ClassVar = {"train": "90 %", "test": "10 %"}

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        file: str | None = None,
        inputs: Sequence[str] | None = None,
        targets: Sequence[str] | None = None,
        window: tuple[int, int | None] = (10, None),
        mode: str = "rollout",
        stride: int = 1,
        time_stride: int = 1,
        convention: str = "pdebench",
        test_fraction: float = 0.1,
        transform: Callable[[Any], Any] | None = None,
        skip_bad: bool = False,
    ) -> None:
        for name, value in (("stride", stride), ("time_stride", time_stride)):
            if value < 1:
                raise ValueError(f"PDEBench: expected {name} of at least 1 (got {value})")
        path = _find(root, file, self.ADDRESS)
        self._layout = open_pdebench(path)
        self.stride, self.time_stride = stride, time_stride
        known = self._layout.fields
        transient = [name for name, field in known.items() if field.steps is not None]
        transient = sorted(transient, key=lambda name: (*_ORDER, name).index(name))
        if inputs is None:
            inputs = transient or [name for name in known if name != "tensor"]
        if targets is None:
            targets = transient or ["tensor"]
        for role, names in (("inputs", inputs), ("targets", targets)):
            unknown = [name for name in names if name not in known]
            if unknown:
                raise ValueError(f"{path}: unknown {role} {unknown}; choose from {[*known]}")
        self._state = {
            "state_in": [name for name in inputs if name in transient],
            "state_out": [name for name in targets if name in transient],
        }
        self.window = self._window(window, mode, path)
        self.FIELDS = self._channels()  # pyright: ignore[reportAttributeAccessIssue]
        self.UNITS = dict.fromkeys(self.FIELDS, "1")  # pyright: ignore[reportAttributeAccessIssue]
        step = self._layout.time_step
        self.time_step = None if step is None else step * time_stride
        check_choice("PDEBench: unknown convention", convention, ("pdebench", "transolver"))
        test_first = self._layout.test_first and convention == "pdebench"
        samples = _split(path, split, len(self._layout.samples), test_fraction, test_first)
        starts = self.window.starts if self.window else range(1)
        self._parts = [(sample, start) for sample in samples for start in starts]
        axes = [axis[::stride] for axis in self._layout.axes]
        self._pos = grid_positions(*axes)
        self.grid_shape = tuple(len(axis) for axis in axes)
        self._cells: dict[str, Any] = grid_cells(self.grid_shape)
        cases = [self._layout.samples[sample] for sample in samples]
        if self.window:
            cases = [case for sample in cases for case in self.window.names(sample)]
        inputs, targets = self._fields("state_in", inputs), self._fields("state_out", targets)
        super().__init__(root, cases, inputs, targets, transform=transform, skip_bad=skip_bad)

    def _window(self, window: tuple[int, int | None], mode: str, path: Path) -> TimeWindow | None:
        """The windows of a sample; None if no chosen field is time-dependent."""
        chosen = [name for names in self._state.values() for name in names]
        if not chosen:
            return None
        steps = min(self._layout.fields[name].steps or 0 for name in chosen)
        return TimeWindow.from_trajectory(-(-steps // self.time_stride), window, mode, str(path))

    def _channels(self) -> dict[str, int]:
        """Channels of the state and of the constant fields."""
        known = self._layout.fields
        channels = {name: field.channels for name, field in known.items() if field.steps is None}
        if self.window:
            counts = {"state_in": self.window.num_in, "state_out": self.window.num_out}
            for role, names in self._state.items():
                channels[role] = counts[role] * sum(known[name].channels for name in names)
        return {name: count for name, count in channels.items() if count}

    def _fields(self, role: str, names: Sequence[str]) -> list[str]:
        """``names`` with the state in place of the time-dependent fields."""
        state = self._state[role]
        return [*([role] if state else []), *(name for name in names if name not in state)]

    def read(self, index: int) -> MeshData:
        sample, start = self._parts[index]
        data = MeshData(pos=self._pos.clone(), **self._cells)
        for name in dict.fromkeys((*self.inputs, *self.targets)):
            parts, steps = [name], slice(None)
            if self.window and name in self._state:
                parts = self._state[name]
                first = start if name == "state_in" else start + self.window.num_in
                count = self.window.num_in if name == "state_in" else self.window.num_out
                every = self.time_stride
                steps = slice(first * every, (first + count) * every, every)
            data[name] = self._channels_last(
                [self._layout.read(sample, part, steps, self.stride) for part in parts]
            )
        return data

    def _channels_last(self, parts: list[NDArray]) -> torch.Tensor:
        """Concatenate values [T, *grid, C] of several fields to [N, T * sum of C]."""
        nodes = len(self._pos)
        flat = [part.reshape(len(part), nodes, -1) for part in parts]
        values = np.empty((nodes, len(parts[0]), sum(part.shape[2] for part in flat)), np.float32)
        # Blocks that fit into the cache are four times faster. FieldDataset refuses overflow.
        with np.errstate(over="ignore"):
            for first in range(0, nodes, _BLOCK):
                block, channel = slice(first, first + _BLOCK), 0
                for part in flat:
                    columns = slice(channel, channel + part.shape[2])
                    values[block, :, columns] = part[:, block].transpose(1, 0, 2)
                    channel = columns.stop
        return torch.from_numpy(values.reshape(nodes, -1))

    @classmethod
    def download(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, root: str | Path, file: str
    ) -> Path:
        """Download a published file from DaRUS; no account is needed.

        Args:
            root: Folder below which the file gets its path in PDEBench.
            file: Name of the file, such as ``"2D_DarcyFlow_beta1.0_Train.hdf5"``.

        Returns:
            The file's path.

        Raises:
            ValueError: If there is no such file, or its checksum is not the published one.
        """
        from flare_mesh.io.download import download_file

        check_choice("PDEBench: unknown file", file, PDEBENCH_FILES)
        published = PDEBENCH_FILES[file]
        path = Path(root, published.path)
        download_file(published.url, path, md5=published.md5)
        return path


def _split(path: Path, split: str, total: int, test_fraction: float, test_first: bool) -> range:
    """Samples of a split."""
    check_choice(f"{path}: unknown split", split, ("train", "test"))
    if not 0 <= test_fraction <= 1:
        raise ValueError(f"{path}: expected test_fraction from 0 to 1 (got {test_fraction})")
    if test_first:
        border = int(total * test_fraction)
        chosen = range(border) if split == "test" else range(border, total)
    else:
        border = int(total * (1 - test_fraction))  # rounded as in PDEBench
        chosen = range(border, total) if split == "test" else range(border)
    if not chosen:
        raise ValueError(
            f"{path}: none of {total} samples is left to {split} with; test_fraction is "
            f"{test_fraction}"
        )
    return chosen


def _find(root: str | Path, file: str | None, address: str) -> Path:
    if file is None:
        return find_one(root, ("*.hdf5", "*.h5"), address, "choose by 'file'")
    if file in PDEBENCH_FILES:
        return find_file(root, PDEBENCH_FILES[file].path, address)
    return find_one(root, (file,), address, "leave one of them there")
