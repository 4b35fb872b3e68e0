"""Common options and exit codes of the commands."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from flare_mesh.devices import is_out_of_memory
from flare_mesh.files import check_folder, error_text
from lpbf.core.base_plate import BasePlate
from lpbf.core.errors import SolverError
from lpbf.core.heat import Heat
from lpbf.core.islands import ISLANDS
from lpbf.core.machine import MACHINES
from lpbf.core.placement import PLACES
from lpbf.core.presets import PRESETS
from lpbf.core.process import Process
from lpbf.core.process_checks import STRAINS
from lpbf.core.scan import SCANS
from lpbf.core.supports import Supports
from lpbf.core.units import UNITLESS, UNITS
from lpbf.core.voxelize import BUILD_VOLUME

_FIELDS = (
    *("material", "layer_height", "inherent_strain", "scan_rotation", "scan_angle"),
    *("powder_layers", "temperature", "plasticity", "release", "strain"),
)
_OF_INHERENT = ("inherent_strain", "scan", "scan_rotation", "scan_angle", "powder_layers")
PROCESS_OPTIONS = (
    "process",
    "preset",
    *_FIELDS,
    "scan",
    "base_plate",
    "supports",
    "heat",
    "machine",
)
"""Names of the options that :func:`add_process` adds."""


def run_command(
    command: Callable[[], int], *, interrupted: str = "interrupted", less_memory: str = ""
) -> int:
    """Run a command and return its exit code; print an error in one line to stderr.

    The code is 1 if a solver fails or the memory is exhausted, 2 for bad input, 130 for Ctrl-C, and
    otherwise the one that ``command`` returns. ``interrupted`` is the message for Ctrl-C,
    ``less_memory`` the advice for exhausted memory.
    """
    try:
        return command()
    except (ValueError, OSError, ImportError) as error:
        code, message = 2, f"error: {error_text(error)}"
    except SolverError as error:
        code, message = 1, f"error: {error}"
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        code, message = 1, f"error: out of memory{less_memory and '; ' + less_memory}"
    except KeyboardInterrupt:
        code, message = 130, interrupted
    print(message, file=sys.stderr)
    return code


def check_output(path: str, option: str, suffixes: Sequence[str], part: str) -> None:
    """Check that the file of an option can be written, before any work is spent on it.

    Raises:
        ValueError: If its type is not one of the ``suffixes``, or it is the file of the part.
        OSError: If it is a folder, or its folder cannot be written to.
    """
    file = Path(path)
    if file.suffix.lower() not in suffixes:
        types, got = ", ".join(suffixes), file.suffix
        raise ValueError(f"{file}: expected a file of type {types} for {option} (got '{got}')")
    check_folder(file)
    if file.is_dir():
        raise IsADirectoryError(f"{file}: is a folder; choose another {option}")
    # Unlike Path.resolve, realpath accepts links that lead to themselves.
    if os.path.realpath(file) == os.path.realpath(part):
        raise ValueError(f"{file}: would overwrite the part; choose another {option}")
    folder = next(parent for parent in file.resolve().parents if parent.exists())
    if not os.access(folder, os.W_OK):
        raise PermissionError(f"{file}: cannot write into {folder}; choose another {option}")


def check_picture(path: str, part: str) -> None:
    """Check that the file of ``--picture`` can be drawn and written, before any work is spent.

    Raises:
        ImportError: If the extra ``view`` is not installed.
        ValueError: If it is no PNG file, or the part's.
        OSError: If it is a folder, or its folder cannot be written to.
    """
    check_output(path, "--picture", (".png",), part)
    if find_spec("matplotlib") is None:
        raise ImportError(f"--picture {path}: needs matplotlib; pip install 'flare-mesh[view]'")


def pitch(text: str) -> float | tuple[float, float, float]:
    """Parse the edge of a voxel, ``"2"``, or its three edges, ``"2,2,1"``."""
    x, *others = (float(edge) for edge in text.split(","))
    if not others:
        return x
    y, z = others
    return x, y, z


def add_pitch(parser: Any, default: Any = None, otherwise: str = "%(default)s") -> None:
    """Add ``--pitch`` with a default in mm; ``otherwise`` is the default in words."""
    text = (
        f"voxel edge in the plane in mm, whose height is a whole fraction of the layer height; or "
        f"three as X,Y,Z (default: {otherwise})"
    )
    parser.add_argument("--pitch", type=pitch, metavar="MM", default=default, help=text)


def add_build_volume(parser: Any) -> None:
    """Add ``--build-volume``."""
    text = "largest extents of a part (default: {:g} {:g} {:g})".format(*BUILD_VOLUME)
    axes = ("X", "Y", "Z")
    parser.add_argument(
        "--build-volume", type=float, nargs=3, metavar=axes, default=BUILD_VOLUME, help=text
    )


def add_unit(parser: Any, files: str = "the part's file") -> None:
    """Add ``--unit``."""
    types = ", ".join(UNITLESS)
    text = f"unit of {files} if it is of a type without unit: {types} (default: mm)"
    parser.add_argument("--unit", choices=[*UNITS], help=text)


def add_place(parser: Any, places: Sequence[str] = PLACES) -> None:
    """Add ``--place``."""
    text = {
        "drop": "move the part down to the plate",
        "as-is": "leave its height in the file, where the plate is z = 0",
        "orient": "rotate it so that it stands with the least support, then drop it",
    }
    listed = "; ".join(f"{place}: {text[place]}" for place in places)
    parser.add_argument("--place", choices=places, default="drop", help=f"{listed} (default: drop)")


def add_islands(parser: Any, otherwise: str) -> None:
    """Add ``--islands``; ``otherwise`` is the default in words."""
    text = f"unsupported voxels: drop them, refuse the part, or add powder (default: {otherwise})"
    parser.add_argument("--islands", choices=ISLANDS, help=text)


def add_workers(parser: Any) -> None:
    """Add ``--workers``; None means one per core."""
    text = "processes on this machine (default: one per core)"
    parser.add_argument("--workers", type=int, metavar="N", help=text)


def add_test_fraction(parser: Any, default: float = 0.2) -> None:
    """Add ``--test-fraction``."""
    text = "fraction of the parts in test/ (default: %(default)s)"
    parser.add_argument("--test-fraction", type=float, default=default, help=text)


def add_process(parser: argparse.ArgumentParser) -> None:
    """Add the options of :data:`PROCESS_OPTIONS`, for :func:`read_process`."""
    group = parser.add_argument_group("process (default: lpbf.Process())")
    source = group.add_mutually_exclusive_group()
    source.add_argument("--process", metavar="FILE.yaml", help="file of Process.to_yaml")
    source.add_argument("--preset", choices=PRESETS, help="process by the name of a material")
    add = group.add_argument
    add("--material", metavar="NAME", help="name of the material")
    add("--layer-height", type=float, metavar="MM", help="simulated layers (default: 0.4)")
    text = "along the scan vectors, across them, and in the build direction"
    add("--inherent-strain", type=float, nargs=3, metavar=("EXX", "EYY", "EZZ"), help=text)
    text = "what strains a layer: the inherent strain, or its contraction as it cools"
    add("--strain", choices=STRAINS, help=text)
    add("--scan", choices=SCANS, help="scan strategy")
    add("--scan-rotation", type=float, metavar="DEG", help="degrees per powder layer")
    add("--scan-angle", type=float, metavar="DEG", help="angle of the first layer in degrees")
    add("--powder-layers", type=int, metavar="N", help="powder layers in a simulated layer")
    add("--temperature", type=float, metavar="C", help="ambient temperature")
    flag: Any = argparse.BooleanOptionalAction
    add("--plasticity", action=flag, help="whether the material yields")
    add("--release", action=flag, help="whether the part is cut from the plate at the end")
    add("--base-plate", type=float, metavar="MM", help="thickness of an elastic plate")
    text = (
        "supports generated under overhangs and islands (auto), and given bodies around supports "
        "in the part's coordinates; angle, offset and volume fraction by --process"
    )
    add("--supports", nargs="+", metavar="auto|FILE", help=text)
    text = "estimate the build time with the machine's usual values; others by --process"
    add("--machine", choices=MACHINES, help=text)
    add("--heat", action=flag, help="whether heat conduction is simulated; details by --process")


def support_files(options: Mapping[str, Any]) -> list[str]:
    """Files of support bodies that ``--supports`` gives."""
    return [given for given in options["supports"] or () if given != "auto"]


def read_process(options: Mapping[str, Any]) -> Process:
    """Return the process of the options of :data:`PROCESS_OPTIONS`.

    Raises:
        FileNotFoundError: If its file does not exist.
        ValueError: If a value does not fit.
    """
    process = Process()
    if options["process"] is not None:
        process = Process.from_yaml(options["process"])
    elif options["preset"] is not None:
        process = Process.preset(options["preset"])
    changes = {name: options[name] for name in _FIELDS if options[name] is not None}
    if options["base_plate"] is not None:
        plate = process.base_plate or BasePlate()
        changes["base_plate"] = replace(plate, thickness=options["base_plate"])
    if options["machine"] is not None:
        changes["machine"] = options["machine"]
    if options["supports"] is not None:
        supports = process.supports if isinstance(process.supports, Supports) else Supports()
        changes["supports"] = replace(supports, generate="auto" in options["supports"])
    if options["heat"] is not None:
        changes["heat"] = (process.heat or Heat()) if options["heat"] else None
    if "inherent_strain" in changes:
        changes["strain_source"] = None  # a strain that replaces the calibrated one
    process = replace(process, **changes)
    unused = [name for name in _OF_INHERENT if options[name] is not None]
    if process.strain == "thermal" and unused:
        raise ValueError(
            f"expected --{unused[0].replace('_', '-')} or thermal strain, on which it has no "
            f"effect (got both); leave out one of them"
        )
    if options["scan"] is None:
        return process
    angles = {name: changes[name] for name in ("scan_rotation", "scan_angle") if name in changes}
    return replace(process.with_scan(options["scan"]), **angles)
