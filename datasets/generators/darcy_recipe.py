"""How FNO's Darcy set is made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import NDArray

from flare_mesh.datasets.generators.darcy import darcy_coefficient, solve_darcy
from flare_mesh.datasets.generators.mat_file import mat_writer
from flare_mesh.datasets.generators.recipe import Recipe, Sample, Target, option


@dataclass(frozen=True)
class DarcyRecipe(Recipe):
    """Darcy flow of FNO (arXiv 2010.08895), as its program makes it.

    Writes ``piececonst_r421_N1024_smooth1.mat`` (training) and ``..._smooth2.mat`` (test), with the
    numbers that are asked for, both with ``coeff`` and ``sol`` [num, 421, 421].

    -div(a grad u) = 1 on the unit square, u = 0 on its border; a is 12 where a Gaussian field
    N(0, (-Laplace + 9)^-2) is positive, 3 elsewhere. Values are at the centres of the cells, where
    the original's are, not on the border; see ``solve_darcy``.

    Args:
        num_train: Samples in the training file.
        num_test: Samples in the test file.
        resolution: Points along a side.
    """

    name: ClassVar = "darcy"

    num_train: int = option(1024, "samples in the training file", role="count")
    num_test: int = option(1024, "samples in the test file", role="count")
    resolution: int = option(421, "points along a side")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.resolution < 5:
            raise ValueError(f"expected --resolution >= 5 (got {self.resolution})")

    def targets(self) -> list[Target]:
        return [
            Target(
                f"piececonst_r{self.resolution}_N{num}_smooth{split + 1}.mat",
                [Sample(split, i) for i in range(num)],
                mat_writer("coeff", "sol"),
            )
            for split, num in enumerate((self.num_train, self.num_test))
        ]

    def make(self, samples: Sequence[Sample]) -> Iterator[Mapping[str, NDArray]]:
        for sample in samples:
            coefficient = darcy_coefficient(self.rng(sample), self.resolution)
            yield {"coeff": coefficient, "sol": solve_darcy(coefficient)}
