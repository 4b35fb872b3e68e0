"""Settings that decide the content of a generated data set."""

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from flare_mesh.choices import check_choice
from flare_mesh.files import read_json_object
from lpbf.core.checks import check_bool, check_edges
from lpbf.core.process import Process
from lpbf.core.units import UNITS
from lpbf.core.voxelize import BUILD_VOLUME, MAX_VOXELS
from lpbf.dataset.orientations import ORIENTATIONS


@dataclass(frozen=True)
class Settings:
    """Settings that decide the content of a data set, in addition to the list of parts.

    Args:
        seed: Random seed of the procedural parts, the orientations and the scales.
        pitch: Voxel edge in mm, one or (x, y, z); see :meth:`Process.voxel_size`.
        size: Range of the procedural parts' largest extent, mm.
        min_nodes: Parts with fewer nodes are rejected.
        max_nodes: Parts with more nodes are rejected.
        max_displacement: Parts with a larger nodal displacement are rejected, mm; None for no
            limit.
        max_aspect_ratio: Largest ratio of two edges of a voxel.
        max_dropped: Parts that lose a larger fraction of their voxels, because these are
            unsupported, are rejected.
        max_volume_error: Parts whose voxels hold more or less than the part by a larger fraction of
            its volume, lose a larger fraction of an extent, or lose walls, or make them over twice
            as thick, on over a fifth of the fraction of its surface, are rejected.
        build_volume: Parts of larger extents are rejected, mm.
        islands: Treatment of unsupported voxels, here and in ``process``: ``"drop"`` them,
            ``"refuse"`` the part, or support them by ``"powder"``; None takes powder if the process
            has it, else drop.
        test_fraction: Fraction of the parts in ``test/``, with all their orientations.
        orientations: Cases of each part: the given orientation and others of the 24 along the axes.
        scale: Range of the random scale factor of each case.
        process: The process of the builds.
        unit: Unit of the part files that have none of their own; None for mm.
        aligned: Whether the flat faces of procedural parts are moved to multiples of the longest
            edge of the voxels (:func:`lpbf.core.grid_planes.align_planes`).

    Raises:
        ValueError: If a value is outside its range, or values do not fit together.
    """

    seed: int = 0
    pitch: float | tuple[float, float, float] = 2.0
    size: tuple[float, float] = (24.0, 50.0)
    min_nodes: int = 200
    max_nodes: int = 100_000
    max_displacement: float | None = None
    max_aspect_ratio: float = 10.0
    max_dropped: float = 0.2
    max_volume_error: float = 0.05
    build_volume: tuple[float, float, float] = BUILD_VOLUME
    islands: str | None = None
    test_fraction: float = 0.2
    orientations: int = 1
    scale: tuple[float, float] = (1.0, 1.0)
    process: Process = field(default_factory=Process)
    unit: str | None = None
    aligned: bool = True

    def __post_init__(self) -> None:
        low, high = self.size
        smallest, largest = self.scale
        limit = np.inf if self.max_displacement is None else self.max_displacement
        x, y, z = self.process.voxel_size(self.pitch)
        object.__setattr__(self, "pitch", (x, y, z))
        height = self.process.voxels_per_layer(z) * z  # checks the layer height
        object.__setattr__(self, "process", replace(self.process, layer_height=height))
        fewest, most, count = self.min_nodes, self.max_nodes, self.orientations
        checks = [
            (0 < low <= high < np.inf, "a size range with 0 < low <= high mm", self.size),
            (0 <= fewest <= most, f"0 <= min_nodes <= max_nodes = {most}", fewest),
            (limit > 0, "max_displacement > 0 mm", self.max_displacement),
            (self.max_aspect_ratio >= 1, "max_aspect_ratio >= 1", self.max_aspect_ratio),
            (0 <= self.max_dropped <= 1, "0 <= max_dropped <= 1", self.max_dropped),
            (self.max_volume_error > 0, "max_volume_error > 0", self.max_volume_error),
            (0 <= self.test_fraction < 1, "0 <= test_fraction < 1", self.test_fraction),
            (1 <= count <= len(ORIENTATIONS), f"1 to {len(ORIENTATIONS)} orientations", count),
            (0 < smallest <= largest < np.inf, "a scale range with 0 < low <= high", self.scale),
            (self.seed >= 0, "a seed >= 0", self.seed),
        ]
        for fine, expected, got in checks:
            if not fine:
                raise ValueError(f"expected {expected} (got {got})")
        if self.aspect_ratio > self.max_aspect_ratio * (1 + 1e-9):
            raise ValueError(
                f"voxels of {' x '.join(f'{edge:g}' for edge in self.spacing)} mm have an aspect "
                f"ratio of {self.aspect_ratio:.3g}, over the limit of {self.max_aspect_ratio:g}; "
                f"use a finer pitch, thicker layers (--layer-height), or a higher limit"
            )
        check_edges("the build volume", self.build_volume)
        check_bool("Settings", "aligned", self.aligned)
        if self.unit is not None:
            check_choice("unknown unit", self.unit, UNITS)
        islands = self.process.choose_islands(self.islands)
        if not self.process.generates_supports:
            object.__setattr__(self, "islands", islands)
        object.__setattr__(self, "process", replace(self.process, islands=islands))

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel edges along x, y and z, mm."""
        return check_edges("the pitch", self.pitch)

    @property
    def aspect_ratio(self) -> float:
        """Longest over shortest edge of a voxel."""
        return max(self.spacing) / min(self.spacing)

    def check_pitch(self) -> None:
        """Check that the procedural parts have voxels, and not too many.

        Raises:
            ValueError: If the pitch is too coarse or too fine for their sizes.
        """
        low, high = self.size[0] * self.scale[0], self.size[1] * self.scale[1]
        edges = self.spacing[:1] if len(set(self.spacing)) == 1 else self.spacing
        pitch = " x ".join(f"{edge:g}" for edge in edges)
        if max(self.spacing) > low / 2:
            raise ValueError(
                f"a pitch of {pitch} mm leaves parts of {low:g} mm without voxels; "
                f"use at most {low / 2:g} mm, or larger parts (--size)"
            )
        if high**3 > float(np.prod(self.spacing)) * MAX_VOXELS:
            raise ValueError(
                f"a pitch of {pitch} mm gives parts of {high:g} mm up to "
                f"{high**3 / np.prod(self.spacing):.3g} voxels, over the limit of {MAX_VOXELS:,}; "
                f"use a coarser pitch, or smaller parts (--size)"
            )

    def to_dict(self) -> dict[str, Any]:
        """All settings as JSON holds them."""
        return json.loads(json.dumps(asdict(self)))


def read_settings(root: Path) -> dict[str, Any]:
    """Read ``settings.json`` of a data set; empty without it, a ValueError if it is damaged."""
    return read_json_object(root / "settings.json")
