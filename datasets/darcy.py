"""Flow through a porous medium of two kinds."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flare_mesh.datasets.array_dataset import ArrayDataset, as_tensor, check_shape, open_numbers
from flare_mesh.datasets.find_one import find_one
from flare_mesh.datasets.grid import grid_cells, grid_positions
from flare_mesh.datasets.published_split import PublishedSplit
from flare_mesh.io.mat import mat_to_npy
from flare_mesh.mesh import MeshData


class Darcy(ArrayDataset):
    """Darcy's flow through a medium of two permeabilities, of FNO (arXiv 2010.08895).

    -div(a grad u) = 1 on the unit square, u = 0 on its border; the coefficient a is 12 where a
    Gaussian random field is positive and 3 elsewhere. Publishers of the files state no licence.

    .. list-table::
        :header-rows: 1

        * - convention
          - files and stride
          - train
          - test
        * - ``"flare"`` (Transolver)
          - r421, every 5th node: 85 x 85
          - first 1,000 of smooth1
          - first 200 of smooth2
        * - ``"lno"``
          - r241, all nodes
          - 1,024 of smooth1
          - 1,024 of smooth2

    Results of the two are not comparable. FLARE standardises coefficient and solution (mean and
    standard deviation over all training points).

    Files: ``piececonst_r421_N1024_smooth1.mat`` (train) and ``..._smooth2.mat`` (test), or of
    another size, with ``coeff`` and ``sol`` [S, 421, 421]; in ``root`` or at most two folders
    below. They are converted once, into ``processed/`` below ``root``.

    Fields, without dimension: ``coeff`` [N, 1], ``sol`` [N, 1]. ``pos`` [N, 2], from 0 to 1 as the
    published codes have it (FNO's program has the values at the centres of 421 x 421 cells), x
    along the last axis of the arrays; ``quad`` [E, 4].

    Args:
        root: Folder of the files.
        split: ``"train"`` or ``"test"``.
        inputs: Fields of ``x``. With the coordinates, this is the published input [x, y, coeff].
        targets: Fields of ``y``.
        convention: ``"flare"`` or ``"lno"``.
        resolution: Nodes along a side in the files, where there are several of them.
        stride: Every how manieth node is taken; by default as the convention does.
        num_train: Cases to train with; by default the published number, or all if there are fewer.
        num_test: Cases to test with, likewise.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Leaves out cases that cannot be used.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file or an option is wrong.
    """

    FIELDS = {"coeff": 1, "sol": 1}
    UNITS = {"coeff": "1", "sol": "1"}
    ADDRESS = "https://drive.google.com/drive/folders/1UnbQh2WWc6knEHbLn-ZaXrKUZhp7pjt-"
    STATS: ClassVar = {"train": 1000, "test": 200, "cases": 2048, "nodes": 7225, "channels": 1}
    SPLITS = {"flare": PublishedSplit(1000, 200), "lno": PublishedSplit(1024, 1024)}
    _STRIDES: ClassVar = {"flare": 5, "lno": 1}

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        inputs: Sequence[str] = ("coeff",),
        targets: Sequence[str] = ("sol",),
        convention: str = "flare",
        resolution: int | None = None,
        stride: int | None = None,
        num_train: int | None = None,
        num_test: int | None = None,
        transform: Callable[[Any], Any] | None = None,
        skip_bad: bool = False,
    ) -> None:
        published = self.published_split(convention)
        if split not in ("train", "test"):
            raise ValueError(f"Darcy: unknown split '{split}'; choose 'train' or 'test'")
        source = find_one(
            root,
            (f"piececonst_r{resolution or '*'}_N*_smooth{1 if split == 'train' else 2}.mat",),
            self.ADDRESS,
            "choose by 'resolution', or leave one of them there",
        )
        folder = Path(root) / "processed"
        files = {name: mat_to_npy(source, name, folder) for name in self.FIELDS}
        coeff, sol = (open_numbers(files[name]).shape for name in ("coeff", "sol"))
        check_shape(f"{source}, 'coeff'", coeff, (None, None, None))
        check_shape(f"{source}, 'sol'", sol, coeff)
        total, rows, columns = coeff
        self.stride = self._STRIDES[convention] if stride is None else stride
        if not 1 <= self.stride < min(rows, columns):
            raise ValueError(
                f"{source}: expected a stride from 1 to {min(rows, columns) - 1} for a grid of "
                f"{rows} x {columns} nodes (got {self.stride})"
            )
        count, usual = {
            "train": (num_train, published.num_train),
            "test": (num_test, published.num_test),
        }[split]
        if count is None:
            count = min(usual, total)
        if not 1 <= count <= total:
            raise ValueError(
                f"{source}: expected num_{split} from 1 to its {total} cases (got {count})"
            )
        lines = [np.arange(0, nodes, self.stride) / (nodes - 1) for nodes in (rows, columns)]
        self._pos = grid_positions(*lines).flip(1)
        self.grid_shape = tuple(len(line) for line in lines)
        self._cells: dict[str, Any] = grid_cells(self.grid_shape, mirrored=True)
        super().__init__(
            root,
            files,
            [f"{row:04d}" for row in range(count)],
            inputs=inputs,
            targets=targets,
            transform=transform,
            skip_bad=skip_bad,
        )

    def read(self, index: int) -> MeshData:
        data = MeshData(pos=self._pos.clone(), **self._cells)
        for name in dict.fromkeys((*self.inputs, *self.targets)):
            values = self.array(name)[index, :: self.stride, :: self.stride]
            data[name] = as_tensor(values).reshape(-1, 1)
        return data
