"""A measured part: what was printed, how, and what was measured on it."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import check_choice, clip
from lpbf.calibrate.confidence import INTERVALS
from lpbf.calibrate.measured_point import MeasuredPoint
from lpbf.calibrate.parameters import PARAMETERS
from lpbf.calibrate.specimens import Specimen, read_specimen
from lpbf.core.checks import check_field
from lpbf.core.from_dict import from_dict
from lpbf.core.placement import PLACES
from lpbf.core.process import Process
from lpbf.core.supports import Supports
from lpbf.core.units import UNITS
from lpbf.core.yaml_file import read_yaml

if TYPE_CHECKING:
    import trimesh

ALIGNMENTS = ("given", "fitted")


@dataclass(frozen=True, kw_only=True, eq=False)
class Measurement:
    """A printed part, the process that is to be calibrated, and the measured displacement.

    The measured values are displacements of the part after the release of the process, relative to
    its nominal shape. A part of which some stays on the plate is measured in the coordinates of
    the plate. A part that is cut off wholly is aligned with its nominal shape by the best fit over
    all its nodes, in the simulation and in the measurement.

    Args:
        part: A surface in mm or its file; None with a ``specimen``.
        specimen: A built-in specimen; None with a ``part``.
        unit: Unit of the part's file if that has none of its own, one of
            :data:`lpbf.core.units.UNITS`; None for mm. Positions and values are in mm.
        place: Placement of the part on the plate, see :func:`lpbf.voxelize`. The measured points
            are in the coordinates and the orientation of the part's file.
        pitch: Edge length of the voxels, mm, one or (x, y, z); see :meth:`Process.voxel_size`.
        process: The process, with the release after which was measured. Its inherent strain is
            where the identification of a plastic model starts.
        points: The measured values.
        parameters: One of :data:`~lpbf.calibrate.parameters.PARAMETERS`.
        uncertainty: Standard deviation of values that have none of their own, mm.
        intervals: ``"uncertainty"``: confidence intervals by the normal distribution from the given
            uncertainties. ``"residuals"``: the given uncertainties count as relative weights only;
            their size is estimated from the residuals, the distribution is Student's t.
        alignment: ``"given"``: the values are used as they are. ``"fitted"``: the rigid-body
            motion between measurement and simulation that fits best is identified, too, so that
            the datum of the measurement does not matter.
        source: File of the measurement; None if there is none.
        sha256: SHA-256 of that file.

    Raises:
        ValueError: If a value is of another kind or outside its range, or a point has no
            uncertainty.
    """

    part: "trimesh.Trimesh | str | Path | None" = None
    specimen: Specimen | None = None
    unit: str | None = None
    place: str = "drop"
    pitch: float | tuple[float, float, float]
    process: Process
    points: tuple[MeasuredPoint, ...]
    parameters: str = "isotropic"
    uncertainty: float | None = None
    intervals: str = "uncertainty"
    alignment: str = "given"
    source: Path | None = None
    sha256: str | None = None

    def __post_init__(self) -> None:
        if (self.part is None) == (self.specimen is None):
            given = "none" if self.part is None else "both"
            raise ValueError(f"Measurement: expected a part or a specimen (got {given})")
        if self.unit is not None:
            check_choice("Measurement: unknown unit", self.unit, UNITS)
        check_choice("Measurement: unknown place", self.place, PLACES)
        for name, default in (("unit", None), ("place", "drop")):
            if self.specimen is not None and getattr(self, name) != default:
                raise ValueError(
                    f"Measurement: expected a {name} of a part's file (got {name}: "
                    f"{getattr(self, name)} of a specimen, which is in mm on its plate); leave it "
                    f"out"
                )
        if not isinstance(self.process, Process):
            raise ValueError(f"Measurement: expected a process (got {self.process!r:.80})")
        object.__setattr__(self, "pitch", self.process.voxel_size(self.pitch))
        supports = self.process.supports
        if isinstance(supports, Supports) and not supports.generate:
            raise ValueError(
                "Measurement: expected a process that generates its supports, or has none (got "
                "generate: false); a measurement has no support bodies"
            )
        if self.process.strain != "inherent":
            raise ValueError(
                f"Measurement: expected a process with strain: inherent (got "
                f"{self.process.strain}, which has no inherent strain to identify); leave it out, "
                f"or compare the measured values with lpbf.simulate"
            )
        check_choice("Measurement: unknown parameters", self.parameters, PARAMETERS)
        check_choice("Measurement: unknown intervals", self.intervals, INTERVALS)
        check_choice("Measurement: unknown alignment", self.alignment, ALIGNMENTS)
        check_field(self, "uncertainty", 0, 1e3, "mm", above=True)
        object.__setattr__(self, "points", tuple(self.points or ()))
        if not self.points:
            raise ValueError("Measurement: expected measured points (got none)")
        for number, point in enumerate(self.points):
            if point.uncertainty is None and self.uncertainty is None:
                raise ValueError(
                    f"points[{number}]: expected an uncertainty > 0 mm (got none); give one for "
                    f"the point, or one for all beside 'points'"
                )

    @property
    def values(self) -> NDArray[np.float64]:
        """Measured values, [n], mm."""
        return np.array([point.value for point in self.points])

    @property
    def uncertainties(self) -> NDArray[np.float64]:
        """Standard deviations of the values, [n], mm."""
        own = (point.uncertainty for point in self.points)
        return np.array([self.uncertainty if value is None else value for value in own])

    @property
    def name(self) -> str:
        """Name of the file, or "values without a file"."""
        return "values without a file" if self.source is None else self.source.name

    @classmethod
    def from_yaml(cls, path: str | Path) -> "Measurement":
        """Read a measurement; files that it names are relative to its folder.

        ``process`` holds fields of :class:`lpbf.Process`, which may be changes of a ``preset``, or
        the name of a file of :meth:`lpbf.Process.to_yaml`.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not YAML of plain values, a key is unknown or a value does not fit.
        """
        path = Path(path)
        values = read_yaml(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        readers = {
            "part": lambda name: path.parent / _text("part", name),
            "specimen": read_specimen,
            "process": lambda given: _read_process(given, path.parent),
            "points": _read_points,
        }
        try:
            if isinstance(values, Mapping):
                for name in ("source", "sha256"):
                    if name in values:
                        raise ValueError(f"Measurement: unknown field '{name}'")
            return replace(from_dict(cls, values, readers), source=path, sha256=digest)
        except ValueError as error:
            raise ValueError(f"{path}: {clip(error)}") from error


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"Measurement: expected {name} as a file name (got {value!r:.80})")
    return value


def _read_process(given: Any, folder: Path) -> Process:
    if isinstance(given, str):
        return Process.from_yaml(folder / given)
    if not isinstance(given, Mapping):
        raise ValueError(f"process: expected fields or a file name (got {given!r:.80})")
    values = dict(given)
    preset = values.pop("preset", None)
    base = {} if preset is None else Process.preset(preset).to_dict()
    return Process.from_dict(base | values)


def _read_points(given: Any) -> list[MeasuredPoint]:
    if not isinstance(given, Sequence) or isinstance(given, str):
        raise ValueError(f"points: expected a list of points (got {given!r:.80})")
    points = []
    for number, values in enumerate(given):
        try:
            points.append(from_dict(MeasuredPoint, values))
        except ValueError as error:
            raise ValueError(f"points[{number}]: {error}") from error
    return points
