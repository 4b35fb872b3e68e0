"""Recipe of Geo-FNO's elasticity set."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flare_mesh.datasets.generators.recipe import Recipe, Sample, Target, option
from flare_mesh.datasets.generators.samples import SampleStack
from flare_mesh.datasets.generators.scikit_fem import check_scikit_fem
from flare_mesh.datasets.generators.unit_cell import MODES, UnitCell


@dataclass(frozen=True)
class ElasticityRecipe(Recipe):
    """Stress around a void in a hyperelastic cell, from Geo-FNO (arXiv 2207.05209).

    Writes ``elasticity/Meshes/Random_UnitCell_{sigma,XY,rr,theta}_10.npy``: the von Mises stress
    ``sigma`` [972, num] at the points ``XY`` [972, 2, num], the radius ``rr`` [42, num] of the void
    at equally spaced angles from 0 to 2 pi, and its coefficients ``theta`` [num, 10].

    The cell is clamped at the bottom and loaded by a traction of 100 at the top. As in the authors'
    finite element program, the rubber is incompressible in plane stress, and the points are the
    9 Gauss points of each of 108 quadratic quadrilaterals. The authors do not publish how their
    mesh follows the void; here its lines are rays; see ``UnitCell``.

    Args:
        num: Samples.
        refine: Elements per side of each of the original 108 elements when solving. The
            root-mean-square error of the stress is about 3 % with 1, 0.5 % with 3, and 0.3 % with
            5.
    """

    name: ClassVar = "elasticity"

    num: int = option(2000, role="count")
    refine: int = option(5)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.refine < 1:
            raise ValueError(f"expected --refine >= 1 (got {self.refine})")
        check_scikit_fem(self.name)

    def targets(self) -> list[Target]:
        samples = [Sample(0, i) for i in range(self.num)]
        return [
            Target(
                f"elasticity/Meshes/Random_UnitCell_{key}_10.npy",
                samples,
                partial(_write_npy, key=key, last=key != "theta"),
            )
            for key in ("sigma", "XY", "rr", "theta")
        ]

    def make(self, samples: Sequence[Sample]) -> Iterator[Mapping[str, NDArray]]:
        for sample in samples:
            cell = UnitCell(self.rng(sample).standard_normal(2 * MODES))
            yield {
                "sigma": cell.stress(self.refine),
                "XY": cell.points(),
                "rr": cell.radius(np.linspace(0, 2 * np.pi, 42)),
                "theta": cell.theta,
            }


def _write_npy(path: Path, files: Sequence[Path], *, key: str, last: bool) -> None:
    """Write the samples stacked along the last axis, or the first."""
    stack = np.concatenate(list(SampleStack(files, key).chunks()), axis=-1)
    np.save(path, np.ascontiguousarray(np.moveaxis(stack, 0, -1) if last else stack))
