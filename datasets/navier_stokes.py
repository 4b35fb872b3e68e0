"""Vorticity of forced two-dimensional flow."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from flare_mesh.data.splits import PublishedSplit
from flare_mesh.data.time_window import TimeWindow
from flare_mesh.datasets.array_dataset import ArrayDataset, float32_tensor
from flare_mesh.datasets.find_one import find_one
from flare_mesh.datasets.grid import grid_cells, grid_positions, unit_axes
from flare_mesh.io.mat import MatFile
from flare_mesh.mesh import MeshData


class NavierStokes(ArrayDataset):
    """Vorticity of forced flow in the periodic unit square, from FNO (arXiv 2010.08895).

    Incompressible Navier-Stokes equations with the forcing 0.1 (sin 2 pi (x + y) + cos 2 pi
    (x + y)); the vorticity is stored at t = 1, 2, ... Transolver's set has the viscosity 1e-5 and
    20 steps. The files are published without a stated licence.

    ====================  ========  ==============  =============
    train                 test      input           target
    ====================  ========  ==============  =============
    first 1,000 of 1,200  last 200  first 10 steps  last 10 steps
    ====================  ========  ==============  =============

    The published models predict one step from the ten before it, and are rolled out on their own
    predictions (``window=(10, 1)`` and ``mode="windows"`` make such training cases); no values are
    normalised.

    File: ``NavierStokes_V1e-5_N1200_T20.mat`` with ``u`` [S, 64, 64, T], ``a`` [S, 64, 64] and
    mostly ``t`` [T], or another of FNO's (``ns_V1e-3_N5000_T50.mat``, ``ns_V1e-4_N10000_T30.mat``,
    ``ns_data_V1e-4_N20_T50_R256test.mat``), in ``root`` or at most four folders below. It is
    converted once, into ``processed/`` below ``root``.

    Fields, dimensionless: ``vorticity_in`` [N, n_in] and ``vorticity_out`` [N, n_out], one channel
    per step; ``vorticity_0`` [N, 1] at t = 0. ``pos`` [N, 2], x along the third axis of ``u``;
    ``quad`` [E, 4], without the cells that would connect opposite sides of the periodic square.

    Args:
        root: Folder of the file.
        split: ``"train"`` or ``"test"``.
        inputs: Fields of ``x``.
        targets: Fields of ``y``.
        file: Name or pattern of the file, if there are several.
        window: Steps in the input, n_in, and in the target, n_out; None for all steps after the
            input.
        mode: ``"rollout"`` for one case per trajectory, from its first step; ``"windows"`` for a
            case at each step where a window fits.
        stride: Step between the nodes that are taken along each axis.
        periodic: Places the nodes as in the solver, at 0, 1/64, ..., 63/64. By default they are at
            0, 1/63, ..., 1, as in the published codes.
        num_train: Training trajectories, instead of the published number. A smaller set is divided
            in the published proportion by default.
        num_test: Test trajectories, likewise.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Leaves out cases that cannot be used.

    Attributes:
        time_step: Time between two steps, dimensionless: from ``t``, or 1 without ``t``.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If the file or an option is wrong.
    """

    UNITS = {"vorticity_in": "1", "vorticity_out": "1", "vorticity_0": "1"}
    ADDRESS = "https://drive.google.com/drive/folders/1UnbQh2WWc6knEHbLn-ZaXrKUZhp7pjt-"
    STATS: ClassVar = {
        **{"train": 1000, "test": 200, "cases": 1200},
        **{"nodes": 4096, "steps": 20, "channels": 1},
    }
    SPLITS = {"flare": PublishedSplit(1000, 200, last=True)}

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        inputs: Sequence[str] = ("vorticity_in",),
        targets: Sequence[str] = ("vorticity_out",),
        file: str | None = None,
        window: tuple[int, int | None] = (10, 10),
        mode: str = "rollout",
        stride: int = 1,
        periodic: bool = False,
        num_train: int | None = None,
        num_test: int | None = None,
        transform: Callable[[Any], Any] | None = None,
        skip_bad: bool = False,
    ) -> None:
        patterns = ("NavierStokes_V*.mat", "ns_V*.mat", "ns_data_V*.mat") if not file else (file,)
        source = find_one(root, patterns, self.ADDRESS, "choose by 'file'")
        total, *grid, steps = self.convert_mat(root, source, "u", (None, None, None, None))
        if "vorticity_0" in (*inputs, *targets):
            self.convert_mat(root, source, "a", (total, *grid))
        split_cases = self.SPLITS["flare"].cases
        trajectories = split_cases(split, total, num_train, num_test, str(source))
        self.window = TimeWindow.from_trajectory(steps, window, mode, str(source))
        self._parts = [(row, start) for row in trajectories for start in self.window.starts]
        self.time_step = _time_step(source)
        self.stride = stride
        axes = unit_axes(grid, stride, str(source), periodic=periodic)
        self._pos = grid_positions(*axes).flip(1)
        self.grid_shape = tuple(len(axis) for axis in axes)
        self._cells: dict[str, Any] = grid_cells(self.grid_shape, left_handed=True)
        self.FIELDS = {  # pyright: ignore[reportAttributeAccessIssue]
            "vorticity_in": self.window.num_in,
            "vorticity_out": self.window.num_out,
            "vorticity_0": 1,
        }
        cases = [name for row in trajectories for name in self.window.names(f"{row:04d}")]
        super().__init__(root, cases, inputs, targets, transform=transform, skip_bad=skip_bad)

    def read(self, index: int) -> MeshData:
        row, start = self._parts[index]
        middle, end = start + self.window.num_in, start + self.window.num_in + self.window.num_out
        steps = {"vorticity_in": slice(start, middle), "vorticity_out": slice(middle, end)}
        data = MeshData(pos=self._pos.clone(), **self._cells)
        every = slice(None, None, self.stride)
        for name in self.field_names:
            if name == "vorticity_0":
                values = self.array("a")[row, every, every]
            else:
                values = self.array("u")[row, every, every, steps[name]]
            data[name] = float32_tensor(values).reshape(len(self._pos), -1)
        return data


def _time_step(source: Path) -> float:
    """Time step from the times in the file; without times, the published one."""
    file = MatFile(source)
    times = file.read("t").ravel() if "t" in file.shapes else ()
    return float(times[1] - times[0]) if len(times) > 1 else 1.0
