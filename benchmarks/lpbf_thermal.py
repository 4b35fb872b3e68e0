"""Thermal strain of ``lpbf`` beside coupled temperature and displacement of CalculiX.

    python benchmarks/lpbf_thermal.py [--pitch 4 2]

A block of 8 x 8 x 12 mm with properties over temperature is deposited at once at 1000 C and cools
through a film at its clamped bottom and through its other faces, elastic and plastic. ``lpbf`` has
one temperature per voxel and CalculiX one per node, so both agree in the limit of small voxels
alone. The table has the largest difference of the displacement over the largest displacement, and
the norm of the difference of the nodal stresses over that of the stresses, while the block cools
and at the end. It fails if the displacement at the end differs by over 1 %. Needs ``ccx`` on the
path; four minutes beside other programs, nearly all in CalculiX.
"""

import argparse
import time

import numpy as np
from calculix import available, coupled_deck, run

from lpbf import Heat, HexMesh, Material, Process, simulate
from lpbf.core.table import Table
from lpbf.simulate.part_view import nodal_mean

METAL = Material(
    "metal",
    Table((0, 1200), (200_000.0, 80_000.0)),
    0.3,
    yield_stress=Table((0, 1200), (500.0, 60.0)),
    hardening_modulus=Table((0, 1200), (4000.0, 400.0)),
    thermal_expansion=Table((0, 1200), (11e-6, 16e-6)),
    density=7900.0,
    conductivity=Table((0, 1200), (14.0, 30.0)),
    specific_heat=Table((0, 1200), (480.0, 700.0)),
    latent_heat=0.0,
)
SIZE, START, OUTSIDE, BOTTOM, OTHERS = (8.0, 8.0, 12.0), 1000.0, 25.0, 4000.0, 60.0
HOT, END = 4.0, 400.0  # s
STEPS = 40
TOLERANCE = 0.01


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pitch", type=float, nargs="+", default=[4.0, 2.0], metavar="MM")
    options = parser.parse_args()
    if not available():
        parser.error("needs CalculiX; install calculix-ccx")
    print("pitch  time   displacement  stress      seconds: lpbf, CalculiX")
    for pitch in options.pitch:
        mesh = HexMesh.from_mask(np.ones(np.rint(np.array(SIZE) / pitch).astype(int)), pitch)
        compare(mesh, "hot", HOT, pitch)
        if (error := compare(mesh, "cold", END, pitch)) > TOLERANCE:
            parser.exit(
                1, f"expected a difference <= {TOLERANCE:.0%} at the end (got {error:.2%})\n"
            )


def compare(mesh: HexMesh, name: str, duration: float, pitch: float) -> float:
    """Print a row of the table, and return the difference of the displacement."""
    heat = Heat(
        deposition_temperature=START,
        preheat=OUTSIDE,
        gas_temperature=OUTSIDE,
        dwell_time=duration,
        plate_coefficient=BOTTOM,
        powder_coefficient=OTHERS,
        gas_coefficient=OTHERS,
        time_steps=STEPS,
        growth=1.0 if name == "hot" else 1.1,
        time_order=2,
    )
    process = Process(
        METAL,
        layer_height=SIZE[2],
        heat=heat,
        strain="thermal",
        plasticity=True,
        plastic_increments=STEPS,
    )
    began = time.perf_counter()
    result = simulate(mesh, process, history=True)
    seconds = time.perf_counter() - began
    times = [HOT] if name == "hot" else [HOT, 10.0, 30.0, 100.0, END]
    deck = coupled_deck(
        mesh, METAL, start=START, outside=OUTSIDE, bottom=BOTTOM, others=OTHERS, times=times,
        increments=STEPS,
    )  # fmt: skip
    reference = run(deck)
    state = result.history[0] if name == "hot" else None
    found = result.displacement if state is None else state.displacement
    moved = np.abs(found - reference.displacement).max() / np.abs(reference.displacement).max()
    stress = "      "
    if state is None:
        expected = nodal_mean(mesh.cells, reference.stress)
        error = np.linalg.norm(result.stress - expected) / np.linalg.norm(expected)
        stress = f"{100 * error:4.1f} %"
    print(
        f"{pitch:4g}   {name:5}  {100 * moved:8.2f} %    {stress}  "
        f"{seconds:10.1f} {reference.seconds:10.1f}",
        flush=True,
    )
    return float(moved)


if __name__ == "__main__":
    main()
