"""Forging of a block under a die of any shape."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from flare_mesh.datasets.array_dataset import ArrayDataset, as_tensor, check_shape, open_numbers
from flare_mesh.datasets.find_one import find_one
from flare_mesh.datasets.grid import grid_cells, grid_positions
from flare_mesh.datasets.published_split import PublishedSplit
from flare_mesh.io.mat import mat_to_npy
from flare_mesh.mesh import MeshData


class Plasticity(ArrayDataset):
    """A block under a die, with large plastic deformation, of Geo-FNO (arXiv 2207.05209).

    A block of 50 mm x 15 mm, clamped below, elastic (200 GPa, 0.3) and perfectly plastic from
    70 MPa on, is forged by a rigid die without friction that comes down with 3 m/s. Publishers of
    the file state no licence.

    .. list-table::
        :header-rows: 1

        * - convention
          - train
          - test
        * - ``"flare"`` (Transolver, Geo-FNO)
          - first 900 of 987
          - last 80
        * - ``"lno"``
          - first 900
          - last 87

    The published codes standardise the die (mean and standard deviation over all training points)
    and leave the target as it is.

    File: ``plas_N987_T20.mat``, or another ``plas_N*_T*.mat``, in ``root`` or at most two folders
    below, with ``input`` [S, 101] and ``output`` [S, 101, 31, 20, 4]. It is converted once, into
    ``processed/`` below ``root``.

    Fields: ``die`` [N, 1], the die's height above the node, which does not change along the second
    axis of the grid; ``deformation`` of T time steps, [N, 4 T] with channel 4 t + c: c = 0, 1 the
    coordinates of the node at that time, c = 2, 3 its displacement; ``coordinates`` and
    ``displacement`` [N, 2 T], the halves of it; and ``time`` [1, 1] from 0 at the first step to 1
    at the last. ``pos`` [N, 2] is the undeformed grid scaled to the unit square, x along the die,
    as the published input is; ``quad`` [E, 4]. Lengths are in millimetres.

    Args:
        root: Folder of the file.
        split: ``"train"`` or ``"test"``.
        inputs: Fields of ``x``; by default the published ones: the die, and the time if each step
            is a case.
        targets: Fields of ``y``.
        mode: ``"trajectory"``: a case is one block, its T = 20 steps side by side. ``"steps"``: a
            case is one block at one step (T = 1), as Transolver trains.
        convention: ``"flare"`` or ``"lno"``.
        num_train: Blocks to train with, instead of the published number. A smaller set is divided
            in the published proportion by default.
        num_test: Blocks to test with, likewise.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Leaves out cases that cannot be used.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file or an option is wrong.
    """

    UNITS = {
        "die": "mm",
        "time": "1",
        "deformation": "mm",
        "coordinates": "mm",
        "displacement": "mm",
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
        if mode not in ("trajectory", "steps"):
            raise ValueError(f"Plasticity: unknown mode '{mode}'; choose 'trajectory' or 'steps'")
        published = self.published_split(convention)
        source = find_one(root, ("plas_N*_T*.mat",), self.ADDRESS, "leave one of them there")
        folder = Path(root) / "processed"
        files = {name: mat_to_npy(source, name, folder) for name in ("input", "output")}
        shape = open_numbers(files["output"]).shape
        check_shape(f"{source}, 'output'", shape, (None, None, None, None, 4))
        check_shape(f"{source}, 'input'", open_numbers(files["input"]).shape, shape[:2])
        rows = published.cases(
            split, shape[0], num_train=num_train, num_test=num_test, place=str(source)
        )
        # One row and the steps of it that make a case.
        self._parts: list[tuple[int, slice]]
        if mode == "steps":
            self._parts = [(row, slice(t, t + 1)) for row in rows for t in range(shape[3])]
            names = [f"{row:04d}_t{part.start:02d}" for row, part in self._parts]
        else:
            self._parts = [(row, slice(None)) for row in rows]
            names = [f"{row:04d}" for row in rows]
        steps = 1 if mode == "steps" else shape[3]
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
        super().__init__(
            root,
            files,
            names,
            inputs=inputs,
            targets=targets,
            transform=transform,
            skip_bad=skip_bad,
        )

    def read(self, index: int) -> MeshData:
        row, steps = self._parts[index]
        nx, ny = self.array("output").shape[1:3]
        data = MeshData(pos=self._pos.clone(), **self._cells)
        for name in dict.fromkeys((*self.inputs, *self.targets)):
            if name == "die":
                data[name] = as_tensor(self.array("input")[row]).repeat_interleave(ny)[:, None]
            elif name == "time":
                data[name] = torch.tensor([[steps.start / max(1, self.num_steps - 1)]])
            else:
                values = self.array("output")[row, :, :, steps, self._PARTS[name]]
                data[name] = as_tensor(values).reshape(nx * ny, -1)
        return data
