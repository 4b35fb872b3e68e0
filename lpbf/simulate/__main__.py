"""Simulates the build of one part: ``python -m lpbf.simulate``."""

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
import torch

from flare_mesh.devices import find_device
from flare_mesh.files import atomic_path, check_folder
from lpbf.core.base_plate import BasePlate
from lpbf.core.errors import PartWarning, SolverError, name_file
from lpbf.core.heat import Heat
from lpbf.core.islands import ISLANDS
from lpbf.core.mesh import HexMesh
from lpbf.core.part import PART_SUFFIXES, load_part
from lpbf.core.presets import PRESETS
from lpbf.core.process import Process
from lpbf.core.result import Result
from lpbf.core.result_files import check_result_path
from lpbf.core.scan import SCANS
from lpbf.core.voxelize import voxelize
from lpbf.simulate.simulate import simulate
from lpbf.simulate.summary import describe_mesh, summarize, summary_text

_VOXELS_ACROSS = 40
_FIELDS = (
    *("material", "layer_height", "inherent_strain", "scan_rotation", "scan_angle"),
    *("powder_layers", "temperature", "plasticity", "release"),
)


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code.

    0, 1 (the solver failed, or memory), 2 (bad input), 130 (Ctrl-C).
    """
    args = _parser().parse_args(argv)
    try:
        _check_outputs(args)
        find_device(args.device)
        process = _process(args)
        mesh, warned = _voxels(args, process)
        print(f"{args.part}: {describe_mesh(mesh, process)}", flush=True)
        result = simulate(mesh, process, history=args.series is not None, device=args.device)
        _check_finite(result)
        _write(args, process, mesh, result, warned)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except SolverError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (MemoryError, torch.OutOfMemoryError):
        print("error: out of memory; use a coarser --pitch", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lpbf.simulate", description=__doc__)
    add = parser.add_argument
    add("part", help=f"surface in mm, upright on the plate ({', '.join(PART_SUFFIXES)})")
    add("--out", required=True, help="mesh file of the finished part: .vtu, .vtk or .xdmf")
    add("--series", metavar="FILE.pvd", help="write the part after each layer as well")
    add("--report", metavar="FILE.json", help="write iterations, residuals, time and memory")
    add("--verbose", action="store_true", help="print a line for each step")
    group = parser.add_argument_group("mesh")
    group.add_argument(
        "--pitch",
        type=float,
        help=f"voxel edge, mm; by default the largest extent has about {_VOXELS_ACROSS} voxels",
    )
    group.add_argument("--pitch-z", type=float, help="voxel height, mm; by default as --pitch")
    group.add_argument(
        "--islands",
        choices=ISLANDS,
        help="what becomes of unsupported voxels; by default what the process says",
    )
    group = parser.add_argument_group("process, by default that of lpbf.Process()")
    source = group.add_mutually_exclusive_group()
    source.add_argument("--process", metavar="FILE.yaml", help="as Process.to_yaml writes it")
    source.add_argument("--preset", choices=PRESETS, help="to start from")
    add = group.add_argument
    add("--material", help="name of the material")
    add("--layer-height", type=float, metavar="MM", help="a multiple of the voxel height")
    add("--inherent-strain", type=float, nargs=3, metavar=("X", "Y", "Z"))
    add("--scan", choices=SCANS, help="strategy of the scan vectors")
    add("--scan-rotation", type=float, metavar="DEG", help="degrees a powder layer")
    add("--scan-angle", type=float, metavar="DEG", help="of the first layer")
    add("--powder-layers", type=int, metavar="N", help="in a simulated layer")
    add("--temperature", type=float, metavar="C", help="ambient temperature")
    switch: Any = argparse.BooleanOptionalAction
    add("--plasticity", action=switch, help="the material yields")
    add("--release", action=switch, help="the part is cut from the plate at the end")
    add("--base-plate", type=float, metavar="MM", help="thickness of an elastic plate")
    add("--heat", action=switch, help="transient conduction; details by --process")
    group = parser.add_argument_group("solver")
    group.add_argument("--device", default="cpu", help="cpu, cuda or auto (default: %(default)s)")
    return parser


def _check_outputs(args: argparse.Namespace) -> None:
    check_result_path(args.out)
    given = {"--out": args.out, "--series": args.series, "--report": args.report}
    paths = {option: Path(path) for option, path in given.items() if path is not None}
    for option, suffix in (("--series", ".pvd"), ("--report", ".json")):
        if option in paths and paths[option].suffix.lower() != suffix:
            raise ValueError(f"{paths[option]}: expected a {suffix} file for {option}")
    if args.series is not None:
        check_folder(Path(args.series).with_suffix("") / "step.vtu")
    for path in paths.values():
        check_folder(path)
        if path.is_dir():
            raise ValueError(f"{path}: is a folder; choose another name")
        folder = next(parent for parent in path.resolve().parents if parent.exists())
        if not os.access(folder, os.W_OK):
            raise PermissionError(f"{path}: cannot write into {folder}; choose another folder")
    if Path(args.out).resolve() == Path(args.part).resolve():
        raise ValueError(f"{args.out}: would overwrite the part; choose another --out")


def _process(args: argparse.Namespace) -> Process:
    process = Process()
    if args.process is not None:
        process = Process.from_yaml(args.process)
    elif args.preset is not None:
        process = Process.preset(args.preset)
    changes: dict[str, Any] = {name: getattr(args, name) for name in _FIELDS}
    if args.islands is not None:
        changes["islands"] = args.islands
    if args.base_plate is not None:
        plate = process.base_plate or BasePlate()
        changes["base_plate"] = replace(plate, thickness=args.base_plate)
    if args.heat:
        changes["heat"] = process.heat or Heat()
    changes = {name: value for name, value in changes.items() if value is not None}
    if args.heat is False:
        changes["heat"] = None
    process = replace(process, **changes)
    if args.scan is None:
        return process
    turned = {name: changes[name] for name in ("scan_rotation", "scan_angle") if name in changes}
    return replace(process.with_scan(args.scan), **turned)


def _voxels(args: argparse.Namespace, process: Process) -> tuple[HexMesh, list[str]]:
    for option, size in (("--pitch", args.pitch), ("--pitch-z", args.pitch_z)):
        if size is not None and not 0 < size < math.inf:
            raise ValueError(f"{option}: expected a size > 0 mm (got {size})")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PartWarning)
        part = load_part(args.part)
        pitch = args.pitch
        if pitch is None:
            # Layers are whole rows of voxels.
            height = args.pitch_z or process.layer_height
            pitch = _two_digits(float(max(part.extents)) / _VOXELS_ACROSS)
            if height is not None:
                pitch = height / max(1, round(height / pitch))
        sizes = (pitch, pitch, pitch if args.pitch_z is None else args.pitch_z)
        mesh = voxelize(part, sizes, islands=process.islands)
    warned = list(dict.fromkeys(str(w.message) for w in caught))
    for warning in warned:
        print(f"warning: {warning}", file=sys.stderr)
    return mesh, warned


def _two_digits(value: float) -> float:
    return round(value, 1 - math.floor(math.log10(value)))


def _check_finite(result: Result) -> None:
    if not (np.isfinite(result.displacement).all() and np.isfinite(result.stress).all()):
        raise SolverError("the solution is not finite; check the process and the pitch")


def _write(
    args: argparse.Namespace, process: Process, mesh: HexMesh, result: Result, warned: list[str]
) -> None:
    summary = summarize(result)
    print(summary_text(summary))
    if result.report is not None:
        print(f"{result.report.table()}\n{result.report}" if args.verbose else result.report)
    with name_file(args.out):
        result.save(args.out)
    if args.series is not None:
        with name_file(args.series):
            result.save_series(args.series)
    if args.report is not None:
        clearance = result.recoater_clearance
        if clearance is not None:  # NaN, where a layer is empty, is not JSON
            clearance = [None if math.isnan(rise) else rise for rise in clearance.tolist()]
        text = {
            "part": args.part,
            "mesh": {
                "num_nodes": mesh.num_nodes,
                "num_cells": mesh.num_cells,
                "spacing_mm": mesh.spacing,
            },
            "process": process.to_dict(),
            "warnings": warned,
            "summary": summary,
            "recoater_clearance_mm": clearance,
            "report": None if result.report is None else result.report.to_dict(),
        }
        with name_file(args.report), atomic_path(args.report) as temporary:
            temporary.write_text(json.dumps(text, indent=1, allow_nan=False))
    written = [path for path in (args.out, args.series, args.report) if path is not None]
    print(f"written: {', '.join(map(str, written))}")


if __name__ == "__main__":
    sys.exit(main())
