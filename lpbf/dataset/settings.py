"""What decides the content of a generated data set."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from lpbf.process import Process
from lpbf.voxelize import MAX_VOXELS


@dataclass(frozen=True)
class Settings:
    """What decides the content of a data set, beside the list of parts.

    Args:
        seed: Of the procedural parts.
        pitch: Voxel edge, mm.
        size: Range of the procedural parts' largest extent, mm.
        min_nodes: Parts with fewer nodes are rejected.
        max_nodes: Parts with more nodes are rejected.
        islands: ``"drop"`` or ``"refuse"``, as in :func:`lpbf.voxelize`.
        test_fraction: Share of the cases that go to ``test/``.
        material: Name of the material.
        inherent_strain: (exx, eyy, ezz) of :class:`lpbf.Process`.
        scan_rotation: Degrees a layer, as in :class:`lpbf.Process`.
    """

    seed: int = 0
    pitch: float = 2.0
    size: tuple[float, float] = (24.0, 50.0)
    min_nodes: int = 200
    max_nodes: int = 50_000
    islands: str = "drop"
    test_fraction: float = 0.2
    material: str = "Ti-6Al-4V"
    inherent_strain: tuple[float, float, float] = Process.inherent_strain
    scan_rotation: float = 0.0

    def __post_init__(self) -> None:
        low, high = self.size
        checks = [
            (0 < self.pitch < np.inf, "a pitch > 0 mm", self.pitch),
            (0 < low <= high < np.inf, "a size range with 0 < low <= high mm", self.size),
            (0 <= self.min_nodes <= self.max_nodes, "min_nodes <= max_nodes", self.min_nodes),
            (0 <= self.test_fraction < 1, "0 <= test fraction < 1", self.test_fraction),
            (self.seed >= 0, "a seed >= 0", self.seed),
        ]
        for fine, expected, got in checks:
            if not fine:
                raise ValueError(f"expected {expected} (got {got})")
        self.process()  # raises where material or strain do not fit

    def check_pitch(self) -> None:
        """Refuses a pitch at which the procedural parts would have no or too many voxels.

        Raises:
            ValueError: If it does.
        """
        low, high = self.size
        if self.pitch > low / 2:
            raise ValueError(
                f"a pitch of {self.pitch:g} mm leaves parts of {low:g} mm without voxels; "
                f"use at most {low / 2:g} mm, or larger parts (--size)"
            )
        if high > self.pitch * MAX_VOXELS ** (1 / 3):
            raise ValueError(
                f"a pitch of {self.pitch:g} mm gives parts of {high:g} mm up to "
                f"{(high / self.pitch) ** 3:.3g} voxels, over the limit of {MAX_VOXELS:,}; use a "
                f"coarser pitch, or smaller parts (--size)"
            )

    def process(self) -> Process:
        """The process by which the parts are built."""
        return Process(
            material=self.material,
            inherent_strain=self.inherent_strain,
            scan_rotation=self.scan_rotation,
        )


def read_settings(root: Path) -> dict[str, Any]:
    """The settings that a data set was generated with; empty if it is not one of ours.

    Raises:
        ValueError: If ``settings.json`` is damaged.
    """
    record = root / "settings.json"
    if not record.is_file():
        return {}
    try:
        settings = json.loads(record.read_text())
    except ValueError as error:
        raise ValueError(f"{record}: damaged ({error}); restore it or make the set anew") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{record}: damaged (not an object); restore it or make the set anew")
    return settings
