"""Stress around a void in a hyperelastic unit cell."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from flare_mesh.data.splits import PublishedSplit
from flare_mesh.datasets.array_dataset import ArrayDataset, float32_tensor, open_numbers
from flare_mesh.datasets.field_dataset import find_file
from flare_mesh.mesh import MeshData


class Elasticity(ArrayDataset):
    """Stress in unit cells with a void under tension, from Geo-FNO (arXiv 2207.05209).

    A cell [0, 1]^2 of an incompressible Rivlin-Saunders material with a void of random shape at
    its centre, clamped at the bottom and loaded by a traction at the top. Each cell has its own
    972 points, without a mesh. The files are published without a stated licence.

    =================================  ====================  ==========
    convention                         train                 test
    =================================  ====================  ==========
    ``"flare"`` (Transolver, Geo-FNO)  first 1,000 of 2,000  last 200
    ``"lno"``                          first 1,000           last 1,000
    =================================  ====================  ==========

    FLARE standardises the stress (mean and standard deviation over all training points) and does
    not normalise the coordinates.

    Files: ``elasticity/Meshes/Random_UnitCell_{sigma,XY}_10.npy`` of shapes [972, S] and
    [972, 2, S], and, if these fields are used, ``_rr_10.npy`` [42, S] and ``_theta_10.npy``
    [S, 10]. ``root`` may be any folder on that path.

    Fields: ``stress`` [N, 1], whose unit is not published; ``radius`` [1, 42], the radius of the
    void at equally spaced angles from 0 to 2 pi; ``theta`` [1, 10], the coefficients of the void's
    shape. ``pos`` [N, 2].

    Args:
        root: Folder of the files.
        split: ``"train"`` or ``"test"``.
        inputs: Fields of ``x``; the published inputs are the coordinates alone.
        targets: Fields of ``y``.
        convention: ``"flare"`` or ``"lno"``.
        num_train: Training cases, instead of the published number. A smaller set is divided in the
            published proportion by default.
        num_test: Test cases, likewise.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Leaves out cases that cannot be used.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If a file or an option is wrong.
    """

    FIELDS = {"stress": 1, "radius": 42, "theta": 10}
    UNITS = {"stress": "not published", "radius": "1", "theta": "1"}
    ADDRESS = "https://drive.google.com/drive/folders/1YBuaoTdOSr_qzaow-G-iwvbUI7fiUzu8"
    STATS: ClassVar = {"train": 1000, "test": 200, "cases": 2000, "nodes": 972, "channels": 1}
    SPLITS = {
        "flare": PublishedSplit(1000, 200, last=True),
        "lno": PublishedSplit(1000, 1000, last=True),
    }
    _FILES: ClassVar = {"stress": "sigma", "radius": "rr", "theta": "theta"}

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        inputs: Sequence[str] = (),
        targets: Sequence[str] = ("stress",),
        convention: str = "flare",
        num_train: int | None = None,
        num_test: int | None = None,
        transform: Callable[[Any], Any] | None = None,
        skip_bad: bool = False,
    ) -> None:
        published = self.published_split(convention)
        names = {name: self._FILES[name] for name in (*inputs, *targets) if name in self._FILES}
        self.files = files = {
            name: find_file(root, f"elasticity/Meshes/Random_UnitCell_{part}_10.npy", self.ADDRESS)
            for name, part in {"pos": "XY", **names}.items()
        }
        nodes, _, total = open_numbers(files["pos"], (None, 2, None)).shape
        shapes = {"stress": (nodes, total), "radius": (42, total), "theta": (total, 10)}
        for name in names:
            open_numbers(files[name], shapes[name])
        self._rows = published.cases(split, total, num_train, num_test, str(files["pos"]))
        cases = [f"{row:04d}" for row in self._rows]
        super().__init__(root, cases, inputs, targets, transform=transform, skip_bad=skip_bad)

    def read(self, index: int) -> MeshData:
        row = self._rows[index]
        data = MeshData(pos=float32_tensor(self.array("pos")[:, :, row]))
        for name in self.field_names:
            values = self.array(name)[row if name == "theta" else (slice(None), row)]
            data[name] = float32_tensor(values).view(-1, self.FIELDS[name])
        return data
