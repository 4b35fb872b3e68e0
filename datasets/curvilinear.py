"""Base of the steady flows on body-fitted structured grids."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from flare_mesh.datasets.array_dataset import ArrayDataset, float32_tensor, open_numbers
from flare_mesh.datasets.field_dataset import find_file
from flare_mesh.datasets.grid import grid_cells, is_left_handed
from flare_mesh.mesh import MeshData


class CurvilinearDataset(ArrayDataset):
    """Base of Geo-FNO's sets with files X and Y [S, rows, columns], Q [S, C, rows, columns].

    Args:
        root: Folder of the files.
        split: ``"train"`` or ``"test"``.
        inputs: Fields of ``x``; the published inputs are the coordinates alone.
        targets: Fields of ``y``; the published target by default.
        convention: ``"flare"`` or ``"lno"``, the published split to use.
        num_train: Training cases, instead of the published number. A smaller set is divided in the
            published proportion by default.
        num_test: Test cases, likewise.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Leaves out cases that cannot be used.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file or an option is wrong.
    """

    FILE: ClassVar[str] = ""
    """Path of the files, with a placeholder for X, Y and Q."""
    CHANNELS: ClassVar[Mapping[str, slice]] = {}
    """Channels of Q that make up each field."""
    TARGET: ClassVar[str] = ""
    """The published target."""

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        inputs: Sequence[str] = (),
        targets: Sequence[str] | None = None,
        convention: str = "flare",
        num_train: int | None = None,
        num_test: int | None = None,
        transform: Callable[[Any], Any] | None = None,
        skip_bad: bool = False,
    ) -> None:
        published = self.published_split(convention)
        self.files = files = {
            name: find_file(root, self.FILE.format(name), self.ADDRESS) for name in "XYQ"
        }
        total, *shape = open_numbers(files["X"], (None, None, None)).shape
        open_numbers(files["Y"], (total, *shape))
        flow = open_numbers(files["Q"]).shape
        channels = max(part.stop for part in self.CHANNELS.values())
        if len(flow) != 4 or flow[1] < channels or (flow[0], *flow[2:]) != (total, *shape):
            wanted = ", ".join(map(str, (total, f"{channels} or more", *shape)))
            raise ValueError(
                f"{files['Q']}: expected an array of shape [{wanted}] (got {list(flow)})"
            )
        self._rows = published.cases(split, total, num_train, num_test, str(files["X"]))
        self.grid_shape = tuple(shape)
        self._cells: dict[str, Any] | None = None
        targets = (self.TARGET,) if targets is None else targets
        cases = [f"{row:04d}" for row in self._rows]
        super().__init__(root, cases, inputs, targets, transform=transform, skip_bad=skip_bad)

    @property
    def cells(self) -> dict[str, Any]:
        """The quads that all cases share, counterclockwise in the first one."""
        if self._cells is None:
            x, y = self.array("X")[0], self.array("Y")[0]
            self._cells = grid_cells(x.shape, left_handed=is_left_handed(x, y))
        return self._cells

    def read(self, index: int) -> MeshData:
        row = self._rows[index]
        x, y = (float32_tensor(self.array(name)[row]).ravel() for name in "XY")
        data = MeshData(pos=x.new_empty(len(x), 2), **self.cells)
        data.pos[:, 0], data.pos[:, 1] = x, y
        for name in self.field_names:
            values = float32_tensor(self.array("Q")[row, self.CHANNELS[name]])
            data[name] = values.flatten(1).T.contiguous()
        return data
