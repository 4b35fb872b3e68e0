"""Darcy flow through a two-phase porous medium."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from flare_mesh.choices import check_choice
from flare_mesh.data.splits import PublishedSplit
from flare_mesh.datasets.array_dataset import ArrayDataset, float32_tensor
from flare_mesh.datasets.find_one import find_one
from flare_mesh.datasets.grid import grid_cells, grid_positions, unit_axes
from flare_mesh.mesh import MeshData


class Darcy(ArrayDataset):
    """Darcy flow through a two-phase porous medium, from FNO (arXiv 2010.08895).

    -div(a grad u) = 1 on the unit square, u = 0 on its boundary; the coefficient a is 12 where a
    Gaussian random field is positive and 3 elsewhere. The files are published without a stated
    licence.

    ========================  ========================  ======================  ====================
    convention                files and stride          train                   test
    ========================  ========================  ======================  ====================
    ``"flare"`` (Transolver)  r421, every 5th: 85 x 85  first 1,000 of smooth1  first 200 of smooth2
    ``"lno"``                 r241, all nodes           1,024 of smooth1        1,024 of smooth2
    ========================  ========================  ======================  ====================

    Results of the two conventions are not comparable. FLARE standardises coefficient and solution
    (mean and standard deviation over all training points).

    Files: ``piececonst_r421_N1024_smooth1.mat`` (train) and ``..._smooth2.mat`` (test), or of
    another size, with ``coeff`` and ``sol`` [S, 421, 421]; in ``root`` or at most four folders
    below. They are converted once, into ``processed/`` below ``root``.

    Fields, dimensionless: ``coeff`` [N, 1], ``sol`` [N, 1]. ``pos`` [N, 2] from 0 to 1 with x along
    the last axis of the arrays, as in the published codes (FNO's generator computes the values at
    the centres of 421 x 421 cells); ``quad`` [E, 4].

    Args:
        root: Folder of the files.
        split: ``"train"`` or ``"test"``.
        inputs: Fields of ``x``. With the coordinates, this is the published input [x, y, coeff].
        targets: Fields of ``y``.
        convention: ``"flare"`` or ``"lno"``.
        resolution: Nodes along a side in the file, if there are files of several resolutions.
        stride: Step between the nodes that are taken; by default that of the convention.
        num_train: Training cases; by default the published number, or all if there are fewer.
        num_test: Test cases, likewise.
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
        check_choice("Darcy: unknown split", split, ("train", "test"))
        source = find_one(
            root,
            (f"piececonst_r{resolution or '*'}_N*_smooth{1 if split == 'train' else 2}.mat",),
            self.ADDRESS,
            "choose by 'resolution', or leave one of them there",
        )
        total, *shape = self.convert_mat(root, source, "coeff", (None, None, None))
        self.convert_mat(root, source, "sol", (total, *shape))
        self.stride = self._STRIDES[convention] if stride is None else stride
        axes = unit_axes(shape, self.stride, str(source))
        count = num_train if split == "train" else num_test
        if count is None:
            count = min(getattr(published, f"num_{split}"), total)
        if not 1 <= count <= total:
            raise ValueError(
                f"{source}: expected num_{split} from 1 to its {total} cases (got {count})"
            )
        self._pos = grid_positions(*axes).flip(1)
        self.grid_shape = tuple(len(axis) for axis in axes)
        self._cells: dict[str, Any] = grid_cells(self.grid_shape, left_handed=True)
        cases = [f"{row:04d}" for row in range(count)]
        super().__init__(root, cases, inputs, targets, transform=transform, skip_bad=skip_bad)

    def read(self, index: int) -> MeshData:
        data = MeshData(pos=self._pos.clone(), **self._cells)
        for name in self.field_names:
            values = self.array(name)[index, :: self.stride, :: self.stride]
            data[name] = float32_tensor(values).reshape(-1, 1)
        return data
