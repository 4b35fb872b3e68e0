"""What a picture of a field shows of the mesh."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class PlotOptions:
    """Options of a picture; see :func:`~flare_mesh.visualize.plot_field`."""

    component: int | str | None = None
    step: int | None = None
    warp: Any = None
    factor: float | None = None
    slice: Any = None
    clip: Any = None
    threshold: float | tuple[float | None, float | None] | None = None
    contours: int | Sequence[float] | None = None
    glyphs: Any = None
    streamlines: Any = None
    edges: bool | None = None
    view: str | Sequence[float] | None = None
    clim: tuple[float, float] | None = None
    cmap: str | None = None
    label: str | None = None
    max_faces: int = 1_000_000
