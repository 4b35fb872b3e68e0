"""Plastic forging of a block by a die of random shape."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from flare_mesh.choices import check_choice
from flare_mesh.data.splits import PublishedSplit
from flare_mesh.datasets.array_dataset import ArrayDataset, float32_tensor
from flare_mesh.datasets.find_one import find_one
from flare_mesh.datasets.grid import grid_cells, grid_positions
from flare_mesh.mesh import MeshData


class Plasticity(ArrayDataset):
    """Plastic forging of a block by a die of random shape, from Geo-FNO (arXiv 2207.05209).

    A block of 50 mm x 15 mm, clamped at the bottom, elastic (200 GPa, 0.3) and perfectly plastic
    at 70 MPa, is forged by a rigid frictionless die that moves down with 3 m/s. The file is
    published without a stated licence.

    =================================  ================  =======
    convention                         train             test
    =================================  ================  =======
    ``"flare"`` (Transolver, Geo-FNO)  first 900 of 987  last 80
    ``"lno"``                          first 900         last 87
    =================================  ================  =======

    The published codes standardise the die (mean and standard deviation over all training points)
    and do not normalise the target.

    File: ``plas_N987_T20.mat``, or another ``plas_N*_T*.mat``, in ``root`` or at most four folders
    below, with ``input`` [S, 101] and ``output`` [S, 101, 31, 20, 4]. It is converted once, into
    ``processed/`` below ``root``.

    Fields, lengths in millimetres: ``die`` [N, 1], the height of the die above the node, constant
    along the second axis of the grid; ``deformation`` [N, 4 T] over T time steps, in channel
    4 t + c the coordinates (c = 0, 1) and the displacement (c = 2, 3) of the node at step t;
    ``coordinates`` and ``displacement`` [N, 2 T], the two halves of it; and ``time`` [1, 1], 0 at
    the first step and 1 at the last. ``pos`` [N, 2] is the undeformed grid scaled to the unit
    square, x along the die, as in the published input; ``quad`` [E, 4].

    Args:
        root: Folder of the file.
        split: ``"train"`` or ``"test"``.
        inputs: Fields of ``x``; by default the published ones: the die, and the time with
            ``mode="steps"``.
        targets: Fields of ``y``.
        mode: ``"trajectory"`` for a case per block, with its T = 20 steps side by side;
            ``"steps"`` for a case per block and step (T = 1), as in Transolver's training.
        convention: ``"flare"`` or ``"lno"``.
        num_train: Training blocks, instead of the published number. A smaller set is divided in
            the published proportion by default.
        num_test: Test blocks, likewise.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Leaves out cases that cannot be used.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file or an option is wrong.
    """

    UNITS = {
        "time": "1",
        **dict.fromkeys(("die", "deformation", "coordinates", "displacement"), "mm"),
    }
    ADDRESS = "https://drive.google.com/drive/folders/1YBuaoTdOSr_qzaow-G-iwvbUI7fiUzu8"
    STATS: ClassVar = {
        **{"train": 900, "test": 80, "cases": 987},
        **{"nodes": 3131, "steps": 20, "channels": 4},
    }
    SPLITS = {
        "flare": PublishedSplit(900, 80, last=True),
        "lno": PublishedSplit(900, 87, last=True),
    }
    _PARTS: ClassVar = {
        "deformation": slice(None),
        "coordinates": slice(0, 2),
        "displacement": slice(2, 4),
    }

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        inputs: Sequence[str] | None = None,
        targets: Sequence[str] = ("deformation",),
        mode: str = "trajectory",
        convention: str = "flare",
        num_train: int | None = None,
        num_test: int | None = None,
        transform: Callable[[Any], Any] | None = None,
        skip_bad: bool = False,
    ) -> None:
        check_choice("Plasticity: unknown mode", mode, ("trajectory", "steps"))
        published = self.published_split(convention)
        source = find_one(root, ("plas_N*_T*.mat",), self.ADDRESS, "leave one of them there")
        shape = self.convert_mat(root, source, "output", (None, None, None, None, 4))
        self.convert_mat(root, source, "input", shape[:2])
        rows = published.cases(split, shape[0], num_train, num_test, str(source))
        steps = 1 if mode == "steps" else shape[3]
        # Row and time steps of each case.
        starts = range(0, shape[3], steps)
        self._parts = [(row, slice(start, start + steps)) for row in rows for start in starts]
        name = "{:04d}_t{:02d}" if mode == "steps" else "{:04d}"
        names = [name.format(row, part.start) for row, part in self._parts]
        self.num_steps = shape[3]
        self.FIELDS = {  # pyright: ignore[reportAttributeAccessIssue]
            "die": 1,
            **({"time": 1} if mode == "steps" else {}),
            "deformation": 4 * steps,
            "coordinates": 2 * steps,
            "displacement": 2 * steps,
        }
        if inputs is None:
            inputs = ("die", "time") if mode == "steps" else ("die",)
        self.grid_shape = nx, ny = shape[1:3]
        self._pos = grid_positions(np.linspace(0, 1, nx), np.linspace(0, 1, ny))
        self._cells: dict[str, Any] = grid_cells((nx, ny))
        super().__init__(root, names, inputs, targets, transform=transform, skip_bad=skip_bad)

    def read(self, index: int) -> MeshData:
        row, steps = self._parts[index]
        nx, ny = self.array("output").shape[1:3]
        data = MeshData(pos=self._pos.clone(), **self._cells)
        for name in self.field_names:
            if name == "die":
                data[name] = float32_tensor(self.array("input")[row]).repeat_interleave(ny)[:, None]
            elif name == "time":
                data[name] = torch.tensor([[steps.start / max(1, self.num_steps - 1)]])
            else:
                values = self.array("output")[row, :, :, steps, self._PARTS[name]]
                data[name] = float32_tensor(values).reshape(nx * ny, -1)
        return data
