"""Recipe of FNO's Darcy set."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from numpy.typing import NDArray

from flare_mesh.datasets.generators.darcy import darcy_coefficient, solve_darcy
from flare_mesh.datasets.generators.mat_file import mat_writer
from flare_mesh.datasets.generators.recipe import Recipe, Sample, Target, option


@dataclass(frozen=True)
class DarcyRecipe(Recipe):
    """Darcy flow of FNO (arXiv 2010.08895), generated as by FNO's program.

    Writes ``piececonst_r421_N1024_smooth1.mat`` (training) and ``..._smooth2.mat`` (test), with the
    chosen numbers of samples, both with ``coeff`` and ``sol`` [num, 421, 421].

    -div(a grad u) = 1 on the unit square, u = 0 on its boundary; a is 12 where a Gaussian field
    N(0, (-Laplace + 9)^-2) is positive, 3 elsewhere. As in the original, values are at the centres
    of the cells, not on the boundary; see ``solve_darcy``.

    Args:
        num_train: Samples in the training file (default: 1024).
        num_test: Samples in the test file (default: 1024).
        num: Samples in both files, five in six for training (1000 and 200 are the published
            benchmark); instead of num_train and num_test.
        resolution: Points along a side.
    """

    name: ClassVar = "darcy"

    num_train: int | None = option(None, role="count")
    num_test: int | None = option(None, role="count")
    num: int | None = option(None, role="run")
    resolution: int = option(421)

    def __post_init__(self) -> None:
        num = self.num
        if num is not None:
            if self.num_train is not None or self.num_test is not None:
                raise ValueError("expected either --num, or --num-train and --num-test (got both)")
            if num < 2:
                raise ValueError(f"expected --num >= 2, for training and test (got {num})")
            object.__setattr__(self, "num", None)  # replaced by the other two
        train, test = (1024, 1024) if num is None else (num * 5 // 6, num - num * 5 // 6)
        if self.num_train is None:
            object.__setattr__(self, "num_train", train)
        if self.num_test is None:
            object.__setattr__(self, "num_test", test)
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
            for split, num in enumerate(self.counts().values())
        ]

    def make(self, samples: Sequence[Sample]) -> Iterator[Mapping[str, NDArray]]:
        for sample in samples:
            coefficient = darcy_coefficient(self.rng(sample), self.resolution)
            yield {"coeff": coefficient, "sol": solve_darcy(coefficient)}
