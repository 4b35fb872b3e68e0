"""Identify the inherent strain from a measured part: ``python -m lpbf.calibrate``."""

import argparse
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from lpbf.calibrate.calibrate import calibrate
from lpbf.calibrate.measurement import Measurement
from lpbf.calibrate.plot import check_picture, write_plot
from lpbf.calibrate.problem import Simulation
from lpbf.calibrate.specimens import SPECIMENS, Specimen, read_specimen
from lpbf.calibrate.template import write_specimen
from lpbf.core import command
from lpbf.core.errors import PartWarning
from lpbf.core.part import describe_part, load_part
from lpbf.core.presets import PRESETS

_CALIBRATION = ("measurement", "out", "plot", "device")
_SPECIMEN = ("write", "dimensions", "preset", "pitch")


def main(argv: Sequence[str] | None = None) -> int:
    """Calibrate a process; see :func:`lpbf.core.command.run_command` for the exit codes."""
    parser = _parser()
    options = parser.parse_args(argv)
    given = [
        name
        for name in (*_CALIBRATION, *_SPECIMEN)
        if getattr(options, name) != parser.get_default(name)
    ]
    run = _calibrate if options.specimen is None else _write_specimen
    return command.run_command(
        lambda: run(options, given),
        interrupted="interrupted; nothing is written",
        less_memory="use a larger pitch",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lpbf.calibrate",
        description=__doc__,
        epilog="docs/calibration.md describes the measurement file.",
    )
    add = parser.add_argument
    add("measurement", nargs="?", metavar="MEASUREMENT.yaml", help="the measured part")
    add("--out", metavar="FILE.yaml", help="write the calibrated process")
    add("--plot", metavar="FILE.png", help="draw measured and computed values")
    add("--device", default="cpu", help="cpu, cuda or auto (default: %(default)s)")
    group = parser.add_argument_group("specimens to print")
    add = group.add_argument
    add("--specimen", choices=SPECIMENS, help="write a specimen instead of a calibration")
    text = "its surface; a measurement file to fill in is written beside it"
    add("--write", metavar="FILE.stl", help=text)
    text = "dimensions of the specimen in mm, such as length=80 width=12"
    add("--dimensions", nargs="+", metavar="NAME=MM", help=text)
    add("--preset", choices=PRESETS, help="process of the measurement file")
    add(
        "--pitch",
        type=float,
        metavar="MM",
        help="voxels of the measurement file (default: the specimen's)",
    )
    return parser


def _calibrate(options: argparse.Namespace, given: list[str]) -> int:
    _refuse(given, _SPECIMEN, "without --specimen")
    if options.measurement is None or options.out is None:
        got = "no --out" if options.out is None else "no measurement"
        got = "neither" if options.measurement is None and options.out is None else got
        raise ValueError(
            f"expected a measurement and --out, or --specimen and --write (got {got}); see --help"
        )
    file = options.measurement
    command.check_output(options.out, "--out", (".yaml", ".yml"), file)
    if options.plot is not None:
        command.check_output(options.plot, "--plot", (Path(options.plot).suffix.lower(),), file)
        check_picture(Path(options.plot))
    measurement = Measurement.from_yaml(file)
    print(f"{file}: {len(measurement.points)} values, parameters: {measurement.parameters}")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PartWarning)
        if measurement.part is not None:
            part = load_part(measurement.part, unit=measurement.unit)
            print(describe_part(part), flush=True)
            measurement = replace(measurement, part=part, unit=None)
        calibration = calibrate(measurement, on_simulation=_print, device=options.device)
    print(calibration)
    for warning in dict.fromkeys([*(str(w.message) for w in caught), *calibration.warnings]):
        print(f"warning: {warning}", file=sys.stderr)
    calibration.process.to_yaml(options.out)
    if options.plot is not None:
        write_plot(calibration, options.plot)
    written = [path for path in (options.out, options.plot) if path is not None]
    print(f"written: {', '.join(written)}")
    if calibration.process.release != measurement.process.release:
        print("the process cuts other parts off at the plate: release: true")
    return 0


def _print(simulation: Simulation) -> None:
    strain = ", ".join(f"{value:.6g}" for value in simulation.inherent_strain)
    seconds = "" if simulation.seconds is None else f", {simulation.seconds:.1f} s"
    print(f"simulation {simulation.number}: strain {strain}{seconds}", flush=True)


def _write_specimen(options: argparse.Namespace, given: list[str]) -> int:
    _refuse(given, _CALIBRATION, "with --specimen")
    if options.write is None:
        raise ValueError("--specimen: expected --write with the STL file to write (got none)")
    command.check_output(options.write, "--write", (".stl",), "")
    specimen = _specimen(options.specimen, options.dimensions or [])
    template = write_specimen(specimen, options.write, preset=options.preset, pitch=options.pitch)
    print(f"written: {options.write}, {template}")
    return 0


def _refuse(given: list[str], names: Sequence[str], when: str) -> None:
    for name in given:
        if name in names:
            option = name if name == "measurement" else f"--{name}"
            raise ValueError(f"{option}: has no effect {when}; leave it out")


def _specimen(kind: str, dimensions: list[str]) -> Specimen:
    values: dict[str, object] = {"kind": kind}
    for text in dimensions:
        name, _, number = text.partition("=")
        if name in values:
            raise ValueError(f"--dimensions: expected each dimension once (got another '{name}')")
        try:
            values[name] = float(number)
        except ValueError as error:
            raise ValueError(
                f"--dimensions: expected NAME=MM, such as length=80 (got '{text}')"
            ) from error
    return read_specimen(values)


if __name__ == "__main__":
    sys.exit(main())
