"""How Geo-FNO's elasticity set is made."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flare_mesh.datasets.generators.recipe import Recipe, Sample, Target, option
from flare_mesh.datasets.generators.samples import SampleStack
from flare_mesh.datasets.generators.unit_cell import MODES, UnitCell


@dataclass(frozen=True)
class ElasticityRecipe(Recipe):
    """Stress around a void in a hyperelastic cell, of Geo-FNO (arXiv 2207.05209).

    Writes ``elasticity/Meshes/Random_UnitCell_{sigma,XY,rr,theta}_10.npy``: von Mises' stress
    ``sigma`` [972, num] at the points ``XY`` [972, 2, num], the void's radius ``rr`` [42, num] at
    even angles from 0 to 2 pi, and its coefficients ``theta`` [num, 10].

    Clamped below, pulled above by a traction of 100. As in the authors' finite element program, the
    rubber is incompressible in plane stress, and the points are the Gauss points of quadratic
    quadrilaterals, 108 of 9. How their mesh follows the void is not published: here its lines are
    rays; see ``UnitCell``.

    Args:
        num: Samples.
        refine: Into how many each side of the 108 elements is divided before solving. The error of
            the stress (root mean square) is about 3 % with 1, 0.5 % with 3, and 0.3 % with 5.
    """

    name: ClassVar = "elasticity"

    num: int = option(2000, "samples", role="count")
    refine: int = option(5, "into how many parts the sides of the original's elements are divided")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.refine < 1:
            raise ValueError(f"expected --refine >= 1 (got {self.refine})")
        if find_spec("skfem") is None:
            raise ValueError(
                "the elasticity set needs scikit-fem; install it with "
                "`pip install 'flare-mesh[generate]'`"
            )

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
    """Samples along the last axis, or the first."""
    stack = np.concatenate(list(SampleStack(files, key).slabs()), axis=-1)
    np.save(path, np.ascontiguousarray(np.moveaxis(stack, 0, -1) if last else stack))
