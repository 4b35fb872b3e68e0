"""Pre-deform a part so that it is printed as designed: ``python -m lpbf.compensate``."""

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from flare_mesh.files import write_text
from lpbf.compensate.compensate import COMPENSATED_PLACES, compensate
from lpbf.compensate.compensation import Check, Compensation, Deviation, Iteration
from lpbf.compensate.progress import CompensationProgress
from lpbf.core import command
from lpbf.core.errors import PartWarning
from lpbf.core.part import PART_SUFFIXES, describe_part, load_part
from lpbf.core.write_part import WRITTEN_SUFFIXES, write_part


def main(argv: Sequence[str] | None = None) -> int:
    """Compensate a part; see :func:`lpbf.core.command.run_command` for the exit codes.

    Code 1 also says that the best surface is written, but its error is above the tolerance.
    """
    parser = argparse.ArgumentParser(
        prog="python -m lpbf.compensate",
        description=__doc__,
        epilog="Exit code 1: the best surface is written, but its error is above the tolerance. "
        "Points printed on the plate keep their height.",
    )
    add = parser.add_argument
    add("part", help=f"surface file ({', '.join(PART_SUFFIXES)})")
    add("--out", required=True, help=f"the surface to print ({', '.join(WRITTEN_SUFFIXES)})")
    add("--report", metavar="FILE.json", help="write the deviations of the iterations")
    add("--picture", metavar="FILE.png", help="draw the correction (extra view)")
    command.add_unit(parser)
    command.add_place(parser, COMPENSATED_PLACES)
    command.add_pitch(parser, 1.0)
    command.add_build_volume(parser)
    text = "largest accepted distance of a vertex (default: %(default)s)"
    add("--tolerance", type=float, metavar="MM", default=1e-3, help=text)
    add("--max-iterations", type=int, default=10, help="corrections (default: %(default)s)")
    text = (
        "check the surface by a simulation on its own voxels with this edge, or three as X,Y,Z; "
        "layers keep their height"
    )
    add("--check-pitch", type=command.pitch, metavar="MM", help=text)
    text = (
        "mesh file with the field 'displacement' at the nodes of the part's voxels, predicted or "
        "simulated, in place of a simulation"
    )
    add("--displacement", metavar="FILE", help=text)
    command.add_process(parser)
    options = parser.parse_args(argv)
    simulated = (*command.PROCESS_OPTIONS, "check_pitch")
    given = [name for name in simulated if getattr(options, name) != parser.get_default(name)]
    return command.run_command(
        lambda: _run(options, given),
        interrupted="interrupted; nothing is written",
        less_memory="use a coarser --pitch",
    )


def _run(options: argparse.Namespace, given: list[str]) -> int:
    if options.displacement is not None and given:
        raise ValueError(
            f"--displacement: nothing is simulated, so --{given[0].replace('_', '-')} has no "
            f"effect; leave one of them out"
        )
    command.check_output(options.out, "--out", WRITTEN_SUFFIXES, options.part)
    if options.report is not None:
        command.check_output(options.report, "--report", (".json",), options.part)
    if options.picture is not None:
        command.check_picture(options.picture, options.part)
    with (
        warnings.catch_warnings(record=True) as caught,
        CompensationProgress(options.part) as progress,
    ):
        warnings.simplefilter("always", PartWarning)
        part = load_part(options.part, unit=options.unit)
        print(describe_part(part), flush=True)
        files = command.support_files(vars(options))
        result = compensate(
            part,
            command.read_process(vars(options)),
            pitch=options.pitch,
            tolerance=options.tolerance,
            max_iterations=options.max_iterations,
            build_volume=tuple(options.build_volume),
            supports=files,
            displacement=options.displacement,
            unit=options.unit if files else None,
            place=options.place,
            check_pitch=options.check_pitch,
            on_iteration=_print_iteration,
            on_builds=progress.begin,
        )
    for warning in dict.fromkeys(str(warning.message) for warning in caught):
        print(f"warning: {warning}", file=sys.stderr)
    if not np.array_equal(result.rotation, np.eye(3)):
        rows = ", ".join(
            "({:.4g}, {:.4g}, {:.4g})".format(*row) for row in result.rotation.tolist()
        )
        print(f"built in the orientation that the rotation of the rows {rows} gives")
    write_part(result.surface, options.out)
    if options.report is not None:
        write_text(options.report, json.dumps(result.to_dict(), indent=1))
    if options.picture is not None:
        _draw(result, options.picture, Path(options.part).stem)
    _print_topology(result)
    if result.check is not None:
        _print_check(result.check)
    return _print_result(options, result)


def _print_result(options: argparse.Namespace, result: Compensation) -> int:
    """Print the deviation that was reached; return the exit code."""
    best = result.iterations[result.best]
    largest = best.deviation.vertices.max
    print(f"wrote {options.out}, of iteration {best.number}: max {largest:.4f} mm at the vertices")
    if result.converged:
        return 0
    why = result.stopped or "try a finer --pitch or more --max-iterations"
    print(
        f"error: the vertices deviate by up to {largest:.4g} mm, above the tolerance of "
        f"{options.tolerance:g} mm; {why}",
        file=sys.stderr,
    )
    return 1


def _print_iteration(iteration: Iteration) -> None:
    name = "as designed" if iteration.number == 0 else f"iteration {iteration.number}"
    plate = f"; plate {iteration.plate_error:.4f} mm" if iteration.plate_error > 0 else ""
    print(f"{name}: {_text(iteration.deviation)}{plate}", flush=True)


def _draw(result: Compensation, path: str, title: str) -> None:
    """Draw the surface in the colours of its correction, which is enlarged."""
    import pyvista

    from flare_mesh.visualize import plot_field

    surface: Any = pyvista.wrap(result.nominal)
    surface["correction"] = np.asarray(result.surface.vertices - result.nominal.vertices)
    label = "correction [mm]"
    plot_field(surface, "correction", warp="correction", label=label, path=path, title=title)


def _print_topology(result: Compensation) -> None:
    united = result.topology_as_designed.bodies
    if united != result.bodies:
        print(f"united bodies that touch: {result.bodies} bodies became {united}")
    print(f"as designed: {result.topology_as_designed}\ncompensated: {result.topology}")


def _print_check(check: Check) -> None:
    """Print the deviations on the check's voxels."""
    edges = " x ".join(f"{edge:.4g}" for edge in check.pitch)
    print(
        f"check on voxels of {edges} mm\n"
        f"  as designed: {_text(check.before)}\n"
        f"  compensated: {_text(check.after)}\n"
        f"  the pitches disagree about the part as designed by: {_text(check.disagreement)}"
    )


def _text(deviation: Deviation) -> str:
    return f"vertices {deviation.vertices}; surface {deviation.surface}"


if __name__ == "__main__":
    sys.exit(main())
