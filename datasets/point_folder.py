"""A folder of point clouds that need not fit into memory."""

import math
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from flare_mesh.datasets.array_dataset import float32_tensor
from flare_mesh.datasets.field_dataset import FieldDataset
from flare_mesh.datasets.point_case import PointCase, find_cases, open_case
from flare_mesh.io.arrays import check_size, read_hdf5
from flare_mesh.io.row_reading import read_rows
from flare_mesh.io.row_sampling import sample_rows
from flare_mesh.mesh import MeshData
from flare_mesh.mesh.cell_storage import VTK_CODES


class PointFolder(FieldDataset):
    """Point clouds of any size in a folder, of which a random part is read at each access.

    A case is either an HDF5 file ``<case>.h5`` (or ``.hdf5``) or a folder ``<case>`` of npy files.
    Its arrays are named by their paths: ``"fields/pressure"`` is a data set in the file, or
    ``fields/pressure.npy`` in the folder.

    ============  ===================  =============================================
    array         shape                becomes
    ============  ===================  =============================================
    ``pos``       [N, d], d = 1, 2, 3  ``pos`` [n, d], in single precision
    a field       [N] or [N, ...]      [n, C], with C the product of the other sizes
    a case field  [] or [1, ...]       [1, C]
    ``weight``    [N] or [N, 1]        ``weight`` [n], scaled by N / n
    ============  ===================  =============================================

    Sums with the scaled quadrature weights over the n drawn points are unbiased estimates of the
    sums over all N. The sum of the weights is preserved on average, not in each draw, since that
    would require reading all of them.

    Suitable formats for large cases are npy and uncompressed HDF5: drawing 16,384 of a hundred
    million points reads 65 MB of the 1.2 GB of coordinates. In compressed HDF5 nearly every chunk
    holds one of so many points; use ``method="blocks"``.

    All cases must have the channels of the first one, and are not checked before they are read.
    Units are those of the files. Single precision loses digits of coordinates far from the origin.

    Args:
        root: Folder of the cases, or of folders ``train``, ``test`` and so on with cases in them.
        split: Name of the split: one of these folders or, without folders, one of ``fractions``,
            which divide the cases by a checksum of their names.
        inputs: Names of the fields that make up ``x``.
        targets: Names of the fields that make up ``y``.
        pos: Path of the array of coordinates.
        weight: Path of the array of weights, if any.
        arrays: Paths of fields whose name differs from their path:
            ``{"pressure": "VTKHDF/PointData/p"}``.
        num_points: Points to draw from each case, without replacement; smaller cases are read
            whole. None for all points.
        method: ``"uniform"`` or ``"blocks"``, see :func:`~flare_mesh.io.row_sampling.sample_rows`.
        num_blocks: Blocks that the points come from, for ``method="blocks"``.
        seed: Draws the same points of a case at each access, as for an evaluation. None draws
            others each time, with torch's generator, which loaders seed in each worker.
        fractions: Share of each split; by default 0.8 ``"train"`` and 0.2 ``"test"``.
        split_seed: Seed of the split.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Reads each case once and leaves out those that cannot be used.

    Raises:
        FileNotFoundError: If there is no such folder, or no case in it.
        ValueError: If an option is wrong or the first case cannot be used; on access, if the case
            lacks an array, its arrays have different N or another shape than in the first case, or
            a value is NaN. The message begins with the case's path.
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        inputs: Sequence[str] = (),
        targets: Sequence[str],
        pos: str = "pos",
        weight: str | None = None,
        arrays: Mapping[str, str] | None = None,
        num_points: int | None = None,
        method: str = "uniform",
        num_blocks: int = 32,
        seed: int | None = None,
        fractions: Mapping[str, float] | None = None,
        split_seed: int = 0,
        transform: Callable[[Any], Any] | None = None,
        skip_bad: bool = False,
    ) -> None:
        _check_names(inputs, targets)
        if num_points is not None and num_points < 1:
            raise ValueError(f"PointFolder: expected num_points of at least 1 (got {num_points})")
        sample_rows(np.empty(1), 0, method=method, num_blocks=num_blocks)  # checks the options
        self.pos, self.weight, self.arrays = pos, weight, dict(arrays or {})
        self.num_points, self.method, self.num_blocks = num_points, method, num_blocks
        self.seed = seed
        self._folder, self._files = find_cases(root, split, fractions=fractions, seed=split_seed)
        self.FIELDS = self._find_fields([*inputs, *targets], skip_bad)
        cases = [*self._files]
        super().__init__(root, cases, inputs, targets, transform=transform, skip_bad=skip_bad)

    def read(self, index: int) -> MeshData:
        case_id = self.cases[index]
        with open_case(self._folder / self._files[case_id]) as case:
            pos = case.array(self.pos)
            count = _num_points(case, self.pos, pos)
            fields = {name: self._field(case, name) for name in (*self.inputs, *self.targets)}
            channels = {name: _channels(case, name, array, count) for name, array in fields.items()}
            for name, found in channels.items():
                if found != self.FIELDS[name]:
                    raise ValueError(
                        f"{case.path}, '{name}': expected {self.FIELDS[name]} channels, as in the "
                        f"first case (got shape {list(fields[name].shape)})"
                    )
            on_points = {name for name, array in fields.items() if array.shape[:1] == (count,)}
            rows = self._draw(case_id, count, [pos, *(fields[name] for name in on_points)])
            data = MeshData(pos=float32_tensor(_read(case, pos, rows)))
            for name, array in fields.items():
                values = _read(case, array, rows if name in on_points else None)
                data[name] = float32_tensor(values).reshape(-1, channels[name])
            if self.weight is not None:
                data.weight = _read_weight(case, self.weight, count, rows)
        return data

    def _field(self, case: PointCase, name: str) -> NDArray[Any] | h5py.Dataset:
        return case.array(self.arrays.get(name, name))

    def _find_fields(self, required: Sequence[str], skip_bad: bool) -> dict[str, int]:
        """Channels of all fields of the first case, or of the first usable one."""
        error: Exception | None = None
        for file in self._files.values():
            try:
                with open_case(self._folder / file) as case:
                    return self._case_fields(case, required)
            except (ValueError, OSError) as found:
                if not skip_bad:
                    raise
                error = error or found
        raise ValueError(f"{self._folder}: no case can be used; the first one: {error}") from error

    def _case_fields(self, case: PointCase, required: Sequence[str]) -> dict[str, int]:
        count = _num_points(case, self.pos, case.array(self.pos))
        fields = {
            name: math.prod(shape[1:])
            for name, shape in case.shapes().items()
            if name != self.pos and shape[:1] in ((), (1,), (count,)) and 0 not in shape
        }
        for name in required:
            fields[name] = _channels(case, name, self._field(case, name), count)
        if self.weight is not None:
            _check_weight(case, self.weight, case.array(self.weight), count)
        return fields

    def _draw(
        self, case_id: str, count: int, arrays: Sequence[NDArray[Any] | h5py.Dataset]
    ) -> NDArray[np.int64] | None:
        """Rows of a case; None for all."""
        if self.num_points is None or self.num_points >= count:
            return None
        generator = None
        if self.seed is not None:
            number = zlib.crc32(f"{self.seed} {case_id}".encode())
            generator = torch.Generator().manual_seed(number)
        return sample_rows(
            # The array with the largest chunks, which cost most to read, determines the blocks.
            max(arrays, key=lambda array: (getattr(array, "chunks", None) or (0,))[0]),
            self.num_points,
            method=self.method,
            num_blocks=self.num_blocks,
            generator=generator,
        )


def _check_names(inputs: Sequence[str], targets: Sequence[str]) -> None:
    """Refuse names that have another meaning in PyG's data or in a mesh."""
    for role, names, other in (("input", inputs, "y"), ("target", targets, "x")):
        for name in names:
            if (
                name in (other, "pos", "weight", "face", "ptr", "case_id", "num_nodes", *VTK_CODES)
                or name.startswith("cell_")
                or "index" in name
                or "batch" in name
            ):
                raise ValueError(
                    f"PointFolder: {role} '{name}' has another meaning in PyG's data; give it "
                    f"another name, for example arrays={{'my_field': '{name}'}}"
                )


def _num_points(case: PointCase, name: str, pos: NDArray[Any] | h5py.Dataset) -> int:
    shape = pos.shape
    if len(shape) != 2 or not shape[0] or shape[1] not in (1, 2, 3):
        raise ValueError(
            f"{case.path}, '{name}': expected coordinates of shape [N, 1], [N, 2] or [N, 3] "
            f"(got {list(shape)})"
        )
    return shape[0]


def _channels(case: PointCase, name: str, array: NDArray[Any] | h5py.Dataset, count: int) -> int:
    shape = array.shape
    if shape[:1] not in ((), (1,), (count,)) or 0 in shape:
        raise ValueError(
            f"{case.path}, '{name}': expected {count:,} rows, as in the coordinates, or a single "
            f"one (got shape {list(shape)})"
        )
    return math.prod(shape[1:])


def _read(
    case: PointCase, array: NDArray[Any] | h5py.Dataset, rows: NDArray[np.int64] | None
) -> NDArray[Any]:
    """The given rows, or the whole array, which may be a memory map."""
    if rows is not None:
        return read_rows(array, rows)
    if isinstance(array, h5py.Dataset):
        return np.asarray(read_hdf5(array))
    check_size(str(case.path), array.shape, array.dtype)
    return array


def _check_weight(
    case: PointCase, name: str, array: NDArray[Any] | h5py.Dataset, count: int
) -> None:
    if array.shape not in ((count,), (count, 1)):
        raise ValueError(
            f"{case.path}, '{name}': expected weights of shape [{count}] (got {list(array.shape)})"
        )


def _read_weight(
    case: PointCase, name: str, count: int, rows: NDArray[np.int64] | None
) -> torch.Tensor:
    array = case.array(name)
    _check_weight(case, name, array, count)
    values = _read(case, array, rows).reshape(-1).astype(np.float64)
    if not (np.isfinite(values) & (values >= 0)).all():
        raise ValueError(
            f"{case.path}, '{name}': expected weights that are finite and not negative"
        )
    return float32_tensor(values * (count / len(values)))
