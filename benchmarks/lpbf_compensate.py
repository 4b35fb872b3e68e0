"""Deviation of compensated parts by iteration, and the check on voxels of their own.

    python benchmarks/lpbf_compensate.py [--parts nut bracket cantilever wall] [--pitch 2 1]

Layers of 1 mm; the teeth of the cantilever are cut out, the other parts stay on the plate. The
checks have voxels of four fifths of the pitch. An iteration must leave less than a hundredth of the
error before its row is printed.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
import trimesh
from pyvista import examples

import lpbf
from lpbf.calibrate.specimens import Cantilever
from lpbf.compensate import Deviation
from lpbf.core.part import read_part
from lpbf.core.part_shapes import box, combine


def bracket() -> trimesh.Trimesh:
    """An L of two plates."""
    foot = box((-15.0, 15.0), (-5.0, 5.0), (0.0, 4.0))
    return combine([foot, box((-15.0, -11.0), (-5.0, 5.0), (0.0, 20.0))])


PARTS: dict[str, Callable[[], trimesh.Trimesh]] = {
    "nut": lambda: read_part(Path(examples.nutfile), unit="mm"),
    "bracket": bracket,
    "cantilever": Cantilever().surface,
    "wall": lambda: box((-15.0, 15.0), (-0.5, 0.5), (0.0, 20.0)),
}


# Cut out the teeth, which rise with the beam and cannot be built below the plate.
TEETH = [{"box": [[-20.0, -5.0, 0.0], [30.0, 5.0, 6.0]]}]


def text(deviation: Deviation) -> str:
    one = deviation.vertices
    return f"{one.max:.4f} / {one.rms:.4f} / {one.p95:.4f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=[*PARTS], default=[*PARTS])
    parser.add_argument("--pitch", type=float, nargs="+", default=[2.0, 1.0], metavar="MM")
    options = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    print("max / rms / 95 % of the distances of the vertices, mm")
    for name in options.parts:
        for pitch in options.pitch:
            cuts = TEETH if name == "cantilever" else False
            start = time.process_time()
            done = lpbf.compensate(
                PARTS[name](),
                lpbf.Process(layer_height=1.0, release=cuts),
                pitch=pitch,
                tolerance=1e-7,
                max_iterations=4,
                check_pitch=0.8 * pitch,
            )
            check, seconds = done.check, time.process_time() - start
            assert check is not None
            first, last = (
                i.deviation.vertices.max for i in (done.iterations[0], done.iterations[-1])
            )
            assert last < first / 100, f"{name} at {pitch} mm: {first} mm to {last} mm"
            rows = [text(one.deviation) for one in done.iterations]
            rows += [""] * (5 - len(rows))
            checks = (check.before, check.after, check.disagreement)
            surface = done.iterations[-1].deviation.surface
            print(f"| {name}, {pitch:g} mm | {' | '.join(rows)} |")
            print(f"  check: {' | '.join(map(text, checks))} |")
            print(f"  middles of triangles: {surface}; {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
