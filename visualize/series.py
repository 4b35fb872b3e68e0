"""The frames of a series of meshes."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from flare_mesh.cases.case_files import series_steps
from flare_mesh.visualize.dataset import to_grid


@dataclass(frozen=True)
class Frame:
    """One mesh of a series.

    Attributes:
        source: Where the mesh is from; see :func:`~flare_mesh.visualize.dataset.to_grid`.
        field: Name of its field, or values; None for the mesh alone.
        step: Number of the time step in the source.
        caption: Time or name of the step.
    """

    source: Any
    field: Any
    step: int | None = None
    caption: str = ""

    def grid(self) -> Any:
        """The mesh as a grid of VTK."""
        return to_grid(self.source, self.step)


def series_frames(series: Any, field: Any = None) -> list[Frame]:
    """The meshes of a series with their fields.

    Args:
        series: A list of meshes; the path of a collection of time steps (``.pvd``) or of a mesh
            file that has several; an object with a ``history``, such as an ``lpbf.Result``, or
            with ``times``, such as a :class:`~flare_mesh.prediction.Prediction`; or one mesh with a
            list of fields.
        field: Name of the field of all meshes, or a list of one field for each.

    Raises:
        ValueError: If there is only one mesh, or another number of fields than meshes.
    """
    fields = [*field] if isinstance(field, (list, tuple)) else None
    frames = frames_of(series, None if fields else field)
    if fields is not None:
        if len(frames) == 1:
            frames = frames * len(fields)
        if len(fields) != len(frames):
            raise ValueError(
                f"expected {len(frames)} fields, one for each mesh (got {len(fields)})"
            )
        frames = [
            Frame(frame.source, one, frame.step, frame.caption)
            for frame, one in zip(frames, fields, strict=True)
        ]
    if len(frames) < 2:
        raise ValueError(
            f"expected a series of several meshes or fields (got {len(frames)}); for one picture "
            f"see plot_field"
        )
    return frames


def frames_of(series: Any, field: Any = None) -> list[Frame]:
    """The meshes of a series as of :func:`series_frames`, or the one mesh of anything else."""
    if isinstance(series, Sequence) and not isinstance(series, str):
        return [Frame(one, field) for one in series]
    if isinstance(series, (str, Path)):
        steps = series_steps(Path(series))
        if steps:
            return [Frame(one.file, field, one.number, f"time {one.time:.6g}") for one in steps]
    history = getattr(series, "history", None)
    if history is not None and hasattr(series, "to_mesh"):
        return [Frame(series, field, number, state.name) for number, state in enumerate(history)]
    times = getattr(series, "times", None)
    if times and hasattr(series, "to_mesh"):
        return [
            Frame(series, field, number, f"time {time:.6g}") for number, time in enumerate(times)
        ]
    return [Frame(series, field)]
