"""Specimen files: the surface to print, and the measurement to fill in."""

import json
from pathlib import Path

from flare_mesh.files import atomic_path, write_text
from lpbf.calibrate.specimens import Specimen
from lpbf.core.checks import check_number
from lpbf.core.process import Process


def write_specimen(
    specimen: Specimen, path: str | Path, *, preset: str | None = None, pitch: float | None = None
) -> Path:
    """Write a specimen's STL, and beside it the YAML file of its measurement.

    The values of the measurement are left to fill in: the file is refused until then.

    Args:
        specimen: The specimen.
        path: The STL file.
        preset: Name of a process of :data:`lpbf.PRESETS`; None for the defaults of
            :class:`lpbf.Process`.
        pitch: Edge length of the voxels, mm; None takes that of the specimen.

    Returns:
        The YAML file.

    Raises:
        FileExistsError: If the YAML file exists, as it may hold measured values.
        ValueError: If the file is not an STL, or the preset or pitch is unusable.
    """
    path = Path(path)
    template = path.with_suffix(".yaml")
    if path.suffix.lower() != ".stl":
        raise ValueError(f"{path}: expected a file of type .stl (got '{path.suffix}')")
    if template.exists():
        raise FileExistsError(f"{template}: exists and may hold measured values; move it away")
    pitch = specimen.pitch if pitch is None else pitch
    check_number("specimen", "pitch", pitch, 0, unit="mm", above=True)
    if preset is not None:
        Process.preset(preset)
    with atomic_path(path) as temporary:
        specimen.surface().export(temporary)
    write_text(template, _text(specimen, template.name, preset, pitch))
    return template


def _text(specimen: Specimen, name: str, preset: str | None, pitch: float) -> str:
    start = "" if preset is None else f"preset: {preset}, "
    dimensions = ", ".join(f"{key}: {value}" for key, value in specimen.to_dict().items())
    points = "\n".join(
        f"- {{position: [{x:g}, {y:g}, {z:g}], component: {component}, value: }}"
        for (x, y, z), component in specimen.points()
    )
    return f"""\
# Measurement of a printed specimen, to be filled in:
#   python -m lpbf.calibrate {name} --out process.yaml --plot calibration.png
# docs/calibration.md explains the entries. All lengths are in mm, in the coordinates of the STL.
specimen: {{{dimensions}}}
# Voxels, layers and material of the simulations in which the strain will be used.
pitch: {pitch:g}
process: {{{start}release: {json.dumps(specimen.release)}}}
# isotropic (one strain), in_plane (exx, eyy), components (exx, eyy, ezz), or scale (a factor).
parameters: isotropic
# Standard deviation of a value; a point may have its own.
uncertainty: 0.01
# Measured minus nominal position along the component, after the release.
points:
{points}
"""
