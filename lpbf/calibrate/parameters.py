"""Unknowns of a calibration: how the inherent strain depends on the identified numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import check_choice
from lpbf.core.process import Process

PARAMETERS = ("isotropic", "in_plane", "components", "scale")
"""Sets of unknowns: one strain for all components; the strains along and across the scan vectors,
with that in the build direction as the process gives it; all three; or a factor on the strain of
the process."""

STRAINS = ("exx", "eyy", "ezz")


@dataclass(frozen=True, eq=False)
class Parameters:
    """Linear map from p numbers to the inherent strain: strain = offset + matrix @ numbers.

    Attributes:
        names: Names of the numbers.
        matrix: [3, p].
        offset: Strain that is given, not identified, [3].
        start: The numbers of the process, [p].
        typical: A number that gives a typical strain.
    """

    names: tuple[str, ...]
    matrix: NDArray[np.float64]
    offset: NDArray[np.float64]
    start: NDArray[np.float64]
    typical: float

    def strain(self, numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Inherent strain (exx, eyy, ezz), [3]."""
        return self.offset + self.matrix @ numbers


def make_parameters(kind: str, process: Process) -> Parameters:
    """Make the unknowns of a kind for a process.

    Raises:
        ValueError: If the kind is unknown, or ``"scale"`` is given with a strain of zero.
    """
    check_choice("unknown parameters", kind, PARAMETERS)
    given = np.array(process.inherent_strain)
    size = -(float(np.abs(given).max()) or 0.004)
    zero, identity = np.zeros(3), np.eye(3)
    if kind == "isotropic":
        return Parameters(("e",), np.ones((3, 1)), zero, given.mean(keepdims=True), size)
    if kind == "in_plane":
        offset = np.array([0.0, 0.0, given[2]])
        return Parameters(STRAINS[:2], identity[:, :2], offset, given[:2], size)
    if kind == "components":
        return Parameters(STRAINS, identity, zero, given, size)
    if not given.any():
        raise ValueError(
            "parameters: scale needs an inherent_strain of the process other than zero; give one, "
            "or choose parameters: isotropic"
        )
    return Parameters(("factor",), given[:, None], zero, np.ones(1), 1.0)
