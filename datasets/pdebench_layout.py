"""The layouts of PDEBench's HDF5 files."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
from numpy.typing import NDArray

from flare_mesh.datasets.array_dataset import check_shape
from flare_mesh.io.arrays import HDF5_ERRORS
from flare_mesh.io.hdf5_reader import HDF5Reader

_AXES = "xyz"


@dataclass(frozen=True)
class PDEField:
    """A field of a file.

    Attributes:
        channels: Values at a node and time.
        steps: Time steps; None for a constant field.
    """

    channels: int
    steps: int | None


class PDELayout(ABC):
    """Content of a file of PDEBench, independent of its layout.

    Attributes:
        reader: The file.
        samples: Names of the samples.
        axes: Coordinates along each axis of the grid.
        fields: The fields by name.
        time_step: Time between two stored steps, in the file's unit; None if it has no times.
        test_first: Whether PDEBench tests on the first samples rather than the last.
    """

    samples: list[str]
    axes: list[NDArray]
    fields: dict[str, PDEField]
    time_step: float | None
    test_first: bool

    def __init__(self, reader: HDF5Reader) -> None:
        self.reader = reader

    @abstractmethod
    def read(self, sample: int, name: str, steps: slice, stride: int) -> NDArray:
        """Values [steps, *grid, channels] of a field at every ``stride``-th node.

        A constant field has one step, whatever ``steps`` is.
        """

    def _times(self, name: str) -> float | None:
        times = self.reader.read(name, slice(0, 2)).ravel()
        return float(times[1]) - float(times[0]) if len(times) > 1 else None

    def _axis(self, name: str) -> NDArray:
        check_shape(f"{self.reader.path}, '{name}'", self.reader.dataset(name).shape, (None,))
        return self.reader.read(name)

    def _nodes(self, stride: int) -> tuple[slice, ...]:
        # HDF5 reads single values slowly: the stride along the last axis is applied in memory.
        return (slice(None, None, stride),) * (len(self.axes) - 1) + (slice(None),)


class FlatLayout(PDELayout):
    """One array per field, [S, T, *grid] or [S, *grid], beside ``x-coordinate`` and so on."""

    test_first = True

    def __init__(self, reader: HDF5Reader) -> None:
        super().__init__(reader)
        keys = sorted(reader.file)
        self.axes = [
            self._axis(f"{axis}-coordinate") for axis in _AXES if f"{axis}-coordinate" in keys
        ]
        time = "t-coordinate"
        self.time_step = self._times(time) if time in keys else None
        grid = [len(axis) for axis in self.axes]
        total = None
        self.fields = {}
        for name in keys:
            if name.endswith("-coordinate"):
                continue
            shape = reader.dataset(name).shape
            steps = shape[1] if len(shape) == len(grid) + 2 else None
            expected = (total, *grid) if steps is None else (total, None, *grid)
            check_shape(f"{reader.path}, '{name}'", shape, expected)
            total = shape[0]
            # Darcy's steady solution is stored as a single step.
            self.fields[name] = PDEField(1, steps if steps != 1 else None)
        if total is None:
            raise ValueError(f"{reader.path}: no fields; it has {keys}")
        self.samples = [f"{sample:04d}" for sample in range(total)]

    def read(self, sample: int, name: str, steps: slice, stride: int) -> NDArray:
        nodes = self._nodes(stride)
        if self.fields[name].steps is not None:
            values = self.reader.read(name, (sample, steps, *nodes))
        else:
            single = self.reader.dataset(name).ndim == len(nodes) + 2
            values = self.reader.read(name, (sample, 0, *nodes) if single else (sample, *nodes))
            values = values[None]
        return values[..., ::stride, None]


class GroupedLayout(PDELayout):
    """One group per sample, with ``data`` [T, *grid, channels] and ``grid/x`` and so on."""

    test_first = False

    def __init__(self, reader: HDF5Reader) -> None:
        super().__init__(reader)
        self.samples = sorted(reader.file)
        first = self.samples[0]
        group: Any = reader.file[first]
        grid = sorted(group["grid"]) if _is_group(group, "grid") else []
        self.axes = [self._axis(f"{first}/grid/{axis}") for axis in _AXES if axis in grid]
        self.time_step = self._times(f"{first}/grid/t") if "t" in grid else None
        shape = reader.dataset(f"{first}/data").shape
        self._shape = (*shape[:1], *(len(axis) for axis in self.axes), *shape[-1:])
        check_shape(f"{reader.path}, '{first}/data'", shape, (None, *self._shape[1:-1], None))
        self.fields = {"data": PDEField(shape[-1], shape[0])}

    def read(self, sample: int, name: str, steps: slice, stride: int) -> NDArray:
        place = f"{self.samples[sample]}/{name}"
        check_shape(f"{self.reader.path}, '{place}'", self.reader.dataset(place).shape, self._shape)
        # The last axis holds the channels.
        nodes = (slice(None, None, stride),) * len(self.axes)
        return self.reader.read(place, (steps, *nodes))


def open_pdebench(path: Path) -> PDELayout:
    """Recognise the layout of a file, without reading values of fields.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a whole HDF5 file in a layout of PDEBench.
    """
    reader = HDF5Reader(path)
    try:
        keys = sorted(reader.file)
        if "x-coordinate" in keys:
            return FlatLayout(reader)
        if keys and all(_is_group(reader.file, key) for key in keys):
            return GroupedLayout(reader)
    except HDF5_ERRORS as error:
        if str(error).startswith(str(path)):
            raise
        raise ValueError(f"{path}: damaged ({error})") from error
    finally:
        reader.close()
    raise ValueError(
        f"{path}: expected 'x-coordinate' beside arrays of fields, or only groups, one per sample, "
        f"with 'data' and 'grid' (got {keys[:8]})"
    )


def _is_group(parent: h5py.Group, key: str) -> bool:
    link = parent.get(key, getlink=True)
    return isinstance(link, h5py.HardLink) and isinstance(parent[key], h5py.Group)
