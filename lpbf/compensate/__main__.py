"""Pre-deforms a part so that it is printed as designed: ``python -m lpbf.compensate``."""

import argparse
import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from flare_mesh.files import atomic_path, check_folder
from lpbf.compensate.compensate import compensate
from lpbf.compensate.compensate_once import compensate_once
from lpbf.compensate.compensation import Compensation, Iteration
from lpbf.core.errors import PartWarning, SolverError, name_file
from lpbf.core.part import PART_SUFFIXES
from lpbf.core.process import Process

_SUFFIXES = (".stl", ".ply", ".obj", ".off")


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code.

    0: within the tolerance (with --displacement: written); 1: the best surface is written but is
    not within the tolerance, or a simulation failed; 2: bad input, nothing is written; 130: Ctrl-C.
    """
    parser = argparse.ArgumentParser(
        prog="python -m lpbf.compensate",
        description=__doc__,
        epilog="Exit code 1: the best surface that was found is written, but its simulated shape "
        "is not within the tolerance. Points printed on the plate keep their height.",
    )
    add = parser.add_argument
    add("part", help=f"surface file in mm ({', '.join(PART_SUFFIXES)})")
    add("--out", required=True, help=f"the surface to print ({', '.join(_SUFFIXES)})")
    add("--pitch", type=float, default=1.0, help="voxel edge, mm (default: %(default)s)")
    add("--process", help="YAML file of the process (default: Ti-6Al-4V)")
    add("--tolerance", type=float, default=0.05, help="largest error, mm (default: %(default)s)")
    add("--max-iterations", type=int, default=10, help="corrections (default: %(default)s)")
    add("--relaxation", type=float, default=1.0, help="share corrected at a time, 0 to 1")
    add(
        "--displacement",
        help="mesh file with the part's predicted or simulated 'displacement' at its voxels' "
        "nodes: corrects by it once, without a simulation",
    )
    add("--report", help="JSON file for the errors of the iterations")
    options = parser.parse_args(argv)
    try:
        if options.displacement is not None:
            names = ("process", "tolerance", "max_iterations", "relaxation")
            given = [name for name in names if getattr(options, name) != parser.get_default(name)]
            if given:
                raise ValueError(
                    f"--displacement: nothing is simulated, so --{given[0].replace('_', '-')} does "
                    f"nothing; leave one of them out"
                )
        result = _run(options)
    except SolverError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except MemoryError:
        print("error: out of memory; use a coarser --pitch", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; nothing is written", file=sys.stderr)
        return 130
    if result.best is None:
        print(f"wrote {options.out}, corrected once; its distortion is not simulated")
        return 0
    best = result.iterations[result.best]
    print(f"wrote {options.out}, of iteration {best.number}: max error {best.max_error:.4f} mm")
    if result.converged:
        return 0
    print(
        f"error: the error stays above the tolerance of {options.tolerance:g} mm (99 % of the "
        f"points are within {best.p99_error:.4f} mm; {result.iterations[-1].changed_cells} voxels "
        f"came or went in the last iteration); try a finer --pitch, a smaller --relaxation or "
        f"more --max-iterations",
        file=sys.stderr,
    )
    return 1


def _run(options: argparse.Namespace) -> Compensation:
    out = Path(options.out)
    if out.suffix.lower() not in _SUFFIXES:
        raise ValueError(
            f"{out}: expected a file of type {', '.join(_SUFFIXES)} (got '{out.suffix}')"
        )
    report = Path(options.report) if options.report else None
    if report is not None and report.suffix.lower() != ".json":
        raise ValueError(f"{report}: expected a .json file for --report (got '{report.suffix}')")
    for path in (out, report):
        if path is not None:
            check_folder(path)
            if path.is_dir():
                raise IsADirectoryError(f"{path}: is a folder; choose another name")
    if out.resolve() == Path(options.part).resolve():
        raise ValueError(f"{out}: would overwrite the part; choose another --out")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PartWarning)
        if options.displacement is not None:
            result = compensate_once(options.part, options.displacement, pitch=options.pitch)
        else:
            process = Process.from_yaml(options.process) if options.process else None
            result = compensate(
                options.part,
                process,
                pitch=options.pitch,
                tolerance=options.tolerance,
                max_iterations=options.max_iterations,
                relaxation=options.relaxation,
                on_iteration=_tell,
            )
    for warning in caught:
        print(f"warning: {warning.message}", file=sys.stderr)
    with name_file(out), atomic_path(out) as temporary:
        result.surface.export(temporary)
    if report is not None:
        with name_file(report), atomic_path(report) as temporary:
            temporary.write_text(json.dumps(result.to_dict(), indent=1))
    return result


def _tell(iteration: Iteration) -> None:
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
