"""What decides the content of a generated data set."""

from dataclasses import dataclass

from lpbf.process import Process


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
            (self.pitch > 0, "a pitch > 0 mm", self.pitch),
            (0 < low <= high, "a size range with 0 < low <= high mm", self.size),
            (0 <= self.min_nodes <= self.max_nodes, "min_nodes <= max_nodes", self.min_nodes),
            (0 <= self.test_fraction < 1, "0 <= test fraction < 1", self.test_fraction),
            (self.seed >= 0, "a seed >= 0", self.seed),
        ]
        for fine, expected, got in checks:
            if not fine:
                raise ValueError(f"expected {expected} (got {got})")
        self.process()  # raises where material or strain do not fit

    def process(self) -> Process:
        return Process(
            material=self.material,
            inherent_strain=self.inherent_strain,
            scan_rotation=self.scan_rotation,
        )
