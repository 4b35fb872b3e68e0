"""Simulate the build of a part, or of several on one plate: ``python -m lpbf.simulate``."""

import argparse
import json
import math
import os
import sys
import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from flare_mesh.devices import find_device
from flare_mesh.files import check_folder, write_text
from lpbf.core import command
from lpbf.core.default_pitch import VOXELS_ACROSS, default_pitch, pitch_across
from lpbf.core.errors import PartWarning, SolverError
from lpbf.core.mesh import HexMesh
from lpbf.core.part import PART_SUFFIXES, describe_part, load_part, plate_units
from lpbf.core.process import Process
from lpbf.core.result import Result
from lpbf.core.result_files import RESULT_SUFFIXES
from lpbf.core.sliced_file import SLICED_SUFFIXES, read_sliced
from lpbf.core.units import size_text
from lpbf.core.voxelize import voxelize
from lpbf.core.voxelize_layers import voxelize_layers
from lpbf.core.voxelize_plate import voxelize_plate
from lpbf.core.write_part import WRITTEN_SUFFIXES, write_part, written_unit
from lpbf.simulate.build_progress import BuildProgress
from lpbf.simulate.deformed import deformed_surface
from lpbf.simulate.estimate import check_memory, estimate_build
from lpbf.simulate.simulate import simulate
from lpbf.simulate.summary import (
    describe_filling,
    describe_mesh,
    describe_strain,
    summarize,
    summary_text,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Simulate a part; see :func:`lpbf.core.command.run_command` for the exit codes."""
    args = _parser().parse_args(argv)
    return command.run_command(lambda: _run(args), less_memory="use a coarser --pitch")


def _run(args: argparse.Namespace) -> int:
    _check_outputs(args)
    find_device(args.device)
    process = command.read_process(vars(args))
    if args.islands is not None:
        process = replace(process, islands=process.choose_islands(args.islands))
    parts, mesh, warned = _voxels(args, process)
    lines = [describe_mesh(mesh, process), describe_filling(mesh), describe_strain(process)]
    print(f"{', '.join(args.parts)}: " + "\n".join(filter(None, lines)), flush=True)
    history = args.series is not None
    estimate = estimate_build(mesh, process, history=history)
    if find_device(args.device).type == "cpu":
        check_memory(estimate, mesh, process.voxel_size, ", ".join(args.parts))
        print(f"estimate: {estimate}", flush=True)
    with warnings.catch_warnings(record=True) as caught, BuildProgress(estimate) as progress:
        warnings.simplefilter("always", PartWarning)
        result = simulate(mesh, process, history=history, device=args.device, on_step=progress)
    warned += _print_warnings(caught)
    if not (np.isfinite(result.displacement).all() and np.isfinite(result.stress).all()):
        raise SolverError("the solution is not finite; check the process and the pitch")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PartWarning)
        numbers = [None] if mesh.plate is None else range(1, len(parts) + 1)
        deformed = {
            file: deformed_surface(result, part, number)
            for file, part, number in zip(args.deformed or [], parts, numbers, strict=False)
        }
    warned += _print_warnings(caught)
    _write(args, process, mesh, result, warned)
    for file, surface in deformed.items():
        write_part(surface, file)
        print(f"written: {file}, in {written_unit(surface, file)}")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lpbf.simulate", description=__doc__)
    add = parser.add_argument
    add(
        "parts",
        nargs="+",
        metavar="part",
        help=f"surface files on one plate ({', '.join(PART_SUFFIXES)})",
    )
    add("--out", required=True, help="mesh file of the finished part: .vtu, .vtk or .xdmf")
    add("--series", metavar="FILE.pvd", help="write the part after each layer")
    text = (
        "write the surface after the build at the place and in the unit of the part's file, with "
        f"its triangles; one file for each part ({', '.join(WRITTEN_SUFFIXES)})"
    )
    add("--deformed", metavar="FILE", nargs="+", help=text)
    add("--picture", metavar="FILE.png", help="draw the distorted part (extra view)")
    add("--report", metavar="FILE.json", help="write iterations, residuals, time and memory")
    add("--verbose", action="store_true", help="print a line for each step")
    group = parser.add_argument_group("mesh")
    command.add_unit(group)
    command.add_place(group)
    text = "put several parts in a row along x with this gap (default: where their files have them)"
    group.add_argument("--gap", type=float, metavar="MM", help=text)
    text = f"two voxels in the mean wall 2 V / A, {VOXELS_ACROSS} or more in the largest extent"
    command.add_pitch(group, otherwise=text)
    text = "voxel height (default: a whole fraction of the layer height, near --pitch)"
    group.add_argument("--pitch-z", type=float, metavar="MM", help=text)
    command.add_islands(group, "as the process says")
    command.add_build_volume(group)
    command.add_process(parser)
    group = parser.add_argument_group("solver")
    group.add_argument("--device", default="cpu", help="cpu, cuda or auto (default: %(default)s)")
    return parser


def _check_outputs(args: argparse.Namespace) -> None:
    suffixes = {"out": RESULT_SUFFIXES, "series": (".pvd",), "report": (".json",)}
    for name, allowed in suffixes.items():
        if getattr(args, name) is not None:
            for part in args.parts:
                command.check_output(getattr(args, name), f"--{name}", allowed, part)
    deformed = args.deformed or []
    for file in deformed:
        for part in args.parts:
            command.check_output(file, "--deformed", WRITTEN_SUFFIXES, part)
    if deformed and len(deformed) != len(args.parts):
        raise ValueError(
            f"--deformed: expected one file for each of the {len(args.parts)} parts (got "
            f"{len(deformed)}); each is written in the coordinates of its part's file"
        )
    if args.picture is not None:
        for part in args.parts:
            command.check_picture(args.picture, part)
    if len({os.path.realpath(file) for file in deformed}) < len(deformed):
        raise ValueError(
            f"--deformed: expected a file of its own for each part (got {', '.join(deformed)}); "
            f"give each another name"
        )
    if args.series is not None:
        check_folder(Path(args.series).with_suffix("") / "step.vtu")


def _voxels(args: argparse.Namespace, process: Process) -> tuple[list[Any], HexMesh, list[str]]:
    if args.pitch_z is not None and not 0 < args.pitch_z < math.inf:
        raise ValueError(f"--pitch-z: expected a size > 0 mm (got {args.pitch_z})")
    if args.pitch_z is not None and isinstance(args.pitch, tuple):
        raise ValueError("--pitch-z: expected one edge of --pitch (got three); leave out --pitch-z")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PartWarning)
        if any(Path(part).suffix.lower() in SLICED_SUFFIXES for part in args.parts):
            mesh = _sliced_voxels(args, process)
            return [], mesh, _print_warnings(caught)
        supports = command.support_files(vars(args))
        units = plate_units(args.parts, args.unit, supports) if args.parts[1:] else [args.unit]
        parts = [load_part(p, unit=u) for p, u in zip(args.parts, units, strict=True)]
        print("\n".join(map(describe_part, parts)), flush=True)
        pitch = _pitch(args, process, default_pitch(parts))
        volume = tuple(args.build_volume)
        islands = "powder" if process.generates_supports else process.islands
        options: dict[str, Any] = {
            "islands": islands,
            "build_volume": volume,
            "supports": supports,
            "unit": args.unit if supports else None,
            "place": args.place,
        }
        if len(parts) > 1:
            mesh = voxelize_plate(parts, pitch, gap=args.gap, **options)
        elif args.gap is not None:
            raise ValueError(f"--gap: expected several parts (got {args.parts[0]}); leave it out")
        else:
            mesh = voxelize(parts[0], pitch, **options)
    return parts, mesh, _print_warnings(caught)


def _pitch(
    args: argparse.Namespace, process: Process, default: float
) -> tuple[float, float, float]:
    x, y, z = process.voxel_size(default if args.pitch is None else args.pitch)
    return x, y, z if args.pitch_z is None else args.pitch_z


def _sliced_voxels(args: argparse.Namespace, process: Process) -> HexMesh:
    """Voxels of a sliced file, which has its unit and no surface."""
    unfit = {
        "several parts": len(args.parts) > 1,
        "--unit": args.unit is not None,
        "--place": args.place != "drop",
        "--deformed": args.deformed is not None,
        "--gap": args.gap is not None,
        "--supports FILE": bool(command.support_files(vars(args))),
    }
    given = [name for name, is_given in unfit.items() if is_given]
    if given:
        raise ValueError(
            f"{', '.join(args.parts)}: expected one sliced file alone, which has its unit and "
            f"place, and no surface (got {given[0]}); leave it out"
        )
    part = read_sliced(Path(args.parts[0]))
    extents = np.ptp(part.bounds, axis=0)
    print(f"{part.name}: {size_text(extents)} mm, {len(part.tops)} slices", flush=True)
    return voxelize_layers(
        part,
        _pitch(args, process, pitch_across(float(extents.max()))),
        islands="powder" if process.generates_supports else process.islands,
        build_volume=tuple(args.build_volume),
    )


def _print_warnings(caught: list[warnings.WarningMessage]) -> list[str]:
    texts = list(dict.fromkeys(str(w.message) for w in caught))
    for text in texts:
        print(f"warning: {text}", file=sys.stderr)
    return texts


def _write(
    args: argparse.Namespace, process: Process, mesh: HexMesh, result: Result, warned: list[str]
) -> None:
    summary = summarize(result)
    print(summary_text(summary))
    if result.report is not None:
        print(f"{result.report.table()}\n{result.report}" if args.verbose else result.report)
    result.save(args.out)
    if args.series is not None:
        result.save_series(args.series)
    if args.picture is not None:
        from flare_mesh.visualize import plot_field

        name = Path(args.parts[0]).stem
        plot_field(result, "displacement", warp="displacement", path=args.picture, title=name)
    if args.report is not None:
        clearance, plate = result.recoater_clearance, result.plate_temperature
        if clearance is not None:  # NaN, where a layer is empty, is not JSON
            clearance = [None if math.isnan(rise) else rise for rise in clearance.tolist()]
        text = {
            "parts": args.parts,
            "mesh": {
                "num_nodes": mesh.num_nodes,
                "num_cells": mesh.num_cells,
                "spacing_mm": mesh.spacing,
            },
            "process": process.to_dict(),
            "warnings": warned,
            "summary": summary,
            "recoater_clearance_mm": clearance,
            "plate_temperature_c": None if plate is None else plate.tolist(),
            "report": None if result.report is None else result.report.to_dict(),
        }
        write_text(args.report, json.dumps(text, indent=1, allow_nan=False))
    written = [
        path for path in (args.out, args.series, args.picture, args.report) if path is not None
    ]
    print(f"written: {', '.join(map(str, written))}")


if __name__ == "__main__":
    sys.exit(main())
