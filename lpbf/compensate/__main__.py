"""Pre-deform a part so that it is printed as designed: ``python -m lpbf.compensate``."""

import argparse
import json
import sys
import warnings
from collections.abc import Sequence

import numpy as np

from flare_mesh.files import write_text
from lpbf.compensate.compensate import COMPENSATED_PLACES, compensate
from lpbf.compensate.compensate_once import compensate_once
from lpbf.compensate.compensation import Compensation, Iteration
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
    add("--report", metavar="FILE.json", help="write the errors of the iterations")
    command.add_unit(parser)
    command.add_place(parser, COMPENSATED_PLACES)
    command.add_pitch(parser, 1.0)
    command.add_build_volume(parser)
    text = "largest error that is accepted (default: %(default)s)"
    add("--tolerance", type=float, metavar="MM", default=0.05, help=text)
    add("--max-iterations", type=int, default=10, help="corrections (default: %(default)s)")
    text = "fraction of the error corrected per iteration, 0 to 1 (default: %(default)s)"
    add("--relaxation", type=float, default=1.0, help=text)
    text = (
        "mesh file with the field 'displacement' at the nodes of the part's voxels, predicted or "
        "simulated: correct by it once, without a simulation"
    )
    add("--displacement", metavar="FILE", help=text)
    command.add_process(parser)
    options = parser.parse_args(argv)
    simulated = (*command.PROCESS_OPTIONS, "tolerance", "max_iterations", "relaxation")
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
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PartWarning)
        part = load_part(options.part, unit=options.unit)
        print(describe_part(part), flush=True)
        if options.displacement is not None:
            result = compensate_once(
                part,
                options.displacement,
                pitch=options.pitch,
                build_volume=tuple(options.build_volume),
                place=options.place,
            )
        else:
            files = command.support_files(vars(options))
            result = compensate(
                part,
                command.read_process(vars(options)),
                pitch=options.pitch,
                tolerance=options.tolerance,
                max_iterations=options.max_iterations,
                relaxation=options.relaxation,
                build_volume=tuple(options.build_volume),
                place=options.place,
                supports=files,
                unit=options.unit if files else None,
                on_iteration=_print_iteration,
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
    return _print_result(options, result)


def _print_result(options: argparse.Namespace, result: Compensation) -> int:
    """Print the error that was reached; return the exit code."""
    if result.best is None:
        print(f"wrote {options.out}, corrected once; its distortion is not simulated")
        return 0
    best = result.iterations[result.best]
    print(f"wrote {options.out}, of iteration {best.number}: max error {best.max_error:.4f} mm")
    if result.converged:
        return 0
    print(
        f"error: the error is above the tolerance of {options.tolerance:g} mm (99 % of the points "
        f"are within {best.p99_error:.4f} mm; {result.iterations[-1].changed_cells} voxels "
        f"changed in the last iteration); try a finer --pitch, a smaller --relaxation or more "
        f"--max-iterations",
        file=sys.stderr,
    )
    return 1


def _print_iteration(iteration: Iteration) -> None:
    name = "as designed" if iteration.number == 0 else f"iteration {iteration.number}"
    plate = f", plate {iteration.plate_error:.4f} mm" if iteration.plate_error > 0 else ""
    print(
        f"{name}: max error {iteration.max_error:.4f} mm, rms {iteration.rms_error:.4f}, "
        f"99 % below {iteration.p99_error:.4f}{plate} ({iteration.num_cells} voxels, "
        f"{iteration.changed_cells} changed, {iteration.seconds:.1f} s)",
        flush=True,
    )


if __name__ == "__main__":
    sys.exit(main())
