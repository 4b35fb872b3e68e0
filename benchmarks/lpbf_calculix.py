"""Reference results of CalculiX for seven small builds, used by the verification tests.

    python benchmarks/lpbf_calculix.py [--out tests/lpbf/verification/data] [--only NAME ...]

Needs ``ccx`` on the path. Each file contains the part, the process and the result:

- elastic_modes, elastic_plain: a table on two legs with a hole, an overhang and scan vectors that
  rotate by 67 degrees, in layers; one static run per layer, K_n du_n = f_n, summed as in
  ``lpbf.simulate``; with elements C3D8I and C3D8;
- elastic_plate: such a table on an elastic plate, with unsupported voxels in powder;
- plastic_step: a block with linear hardening that is strained in one step, in fifty increments and
  in four ("_coarse");
- plastic_build: the table with linear hardening, whose layers are activated free of stress by
  ``*MODEL CHANGE``, with the same numbers of increments per layer;
- plastic_release: the build of plastic_build in four increments per layer, after a kerf in one leg
  (``*MODEL CHANGE``), and after a cut along the plate of a part of the other one;
- thermal_build: the table with properties over temperature, whose layers have one temperature each
  in each stage and contract as they cool.
"""

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from calculix import Metal, Solved, available, build_deck, run, step_deck, thermal_build_deck

from lpbf import BasePlate, HexMesh, Material, Process
from lpbf.core.table import Table
from lpbf.mechanics.build import make_build
from lpbf.simulate.release_steps import release_steps

DATA = Path(__file__).parents[1] / "tests" / "lpbf" / "verification" / "data"
MODULUS, POISSON = 110_000.0, 0.34
YIELD, HARDENING = 100.0, 3_000.0
METAL = Metal(MODULUS, POISSON, ((YIELD, 0.0), (YIELD + HARDENING, 1.0)))
STRAIN, ROTATION, HEIGHT = (-0.004, -0.001, -0.002), 67.0, 0.8
FINE, COARSE = 50, 4
TABLES = ("youngs_modulus", "yield_stress", "hardening_modulus", "thermal_expansion")
METAL_OVER_TEMPERATURE = Material(
    "metal",
    Table((0, 1000), (MODULUS, 60_000.0)),
    POISSON,
    yield_stress=Table((0, 500, 1000), (300.0, 220.0, 40.0)),
    hardening_modulus=Table((0, 1000), (HARDENING, 500.0)),
    thermal_expansion=Table((0, 1000), (9e-6, 13e-6)),
)
# Temperatures of the four layers in each stage, and its newest layer; the last stage is the end.
STAGE_LAYERS = (0, 0, 1, 1, 2, 2, 3, 3, 3)
STAGES = (
    (600, 300, 0, 0), (300, 0, 0, 0), (450, 650, 0, 0), (250, 320, 0, 0), (350, 430, 600, 0),
    (200, 220, 280, 0), (240, 330, 420, 700), (150, 170, 220, 330), (25, 25, 25, 25),
)  # fmt: skip
DEPOSITION = 900.0
BOXES = [[[5, 0, 0.8], [6, 4, 1.6]], [[0, 0, 0], [1, 4, 0]]]


def table() -> HexMesh:
    mask = np.zeros((6, 4, 8), dtype=bool)
    mask[:2, :, :6] = True
    mask[5, :3, :6] = True
    mask[:, :, 6:] = True
    mask[1, 1, 2:] = False
    mask[3, 3, 7] = False
    return HexMesh.from_mask(mask, (1.0, 1.2, 0.4))


def block() -> HexMesh:
    return HexMesh.from_mask(np.ones((4, 4, 6)), (1.0, 1.2, 0.8))


def elastic(element: str) -> dict[str, Any]:
    return _elastic_build(table(), Process(**_process()), element)


def elastic_plate() -> dict[str, Any]:
    mask = np.concatenate([table().mask, np.zeros((1, 4, 8), dtype=bool)])
    mask[6, 1:3, 4] = True  # unsupported until the layer above connects it
    mask[6, :, 5:] = True
    mesh = HexMesh.from_mask(mask, (1.0, 1.2, 0.4))
    plate = BasePlate(thickness=1.2, margin=2.0, youngs_modulus=70_000.0)
    metal = Material("metal", MODULUS, POISSON)
    process = Process(metal, **_process(), islands="powder", base_plate=plate)
    of_plate = {f"plate_{key}": value for key, value in asdict(plate).items()}
    return {**_elastic_build(mesh, process, "C3D8I"), **of_plate}


def _elastic_build(part: HexMesh, process: Process, element: str) -> dict[str, Any]:
    """Sum the steps from the activation of each of the part's nodes and cells."""
    build = make_build(part, process)
    displacement, stress = np.zeros((part.num_nodes, 3)), np.zeros((part.num_cells, 6))
    part_cells = np.flatnonzero(build.is_part)
    for layer in range(build.num_layers):
        newest = build.layer_cells(layer)
        eigenstrain = np.zeros((newest.stop, 6))
        eigenstrain[newest] = build.cell_strain[newest]
        factor = None if build.cell_stiffness is None else build.cell_stiffness[: newest.stop]
        metal = Metal(MODULUS, POISSON)
        solved = run(step_deck(build.mesh, eigenstrain, metal, element=element, factor=factor))
        everywhere = np.zeros((build.mesh.num_nodes, 3))
        everywhere[solved.nodes] = solved.displacement
        active = part_cells[part_cells < newest.stop]
        own = np.unique(part.cells[: len(active)])
        displacement[own] += everywhere[build.part_nodes[own]]
        stress[: len(active)] += solved.stress[active]
    return {**_part(part), **_process(), "displacement": displacement, "stress": stress}


def plastic_step() -> dict[str, Any]:
    mesh = block()
    # Every layer is strained, the upper ones more.
    height = (mesh.cell_index[:, 2] + 1) / mesh.mask.shape[2]
    eigenstrain = height[:, None] * np.array([-0.006, -0.003, -0.004, 0.001, 0.0005, -0.0005])
    decks = (step_deck(mesh, eigenstrain, METAL, increments=n) for n in (COARSE, FINE))
    return {**_part(mesh), "eigenstrain": eigenstrain, **_plastic(*map(run, decks))}


def plastic_build() -> dict[str, Any]:
    mesh = table()
    layers = make_build(mesh, Process(**_process()))
    given = (mesh, layers.cell_layer, layers.layer_strain, METAL)
    decks = (build_deck(*given, increments=n) for n in (COARSE, FINE))
    return {**_part(mesh), **_process(), **_plastic(*map(run, decks))}


def plastic_release() -> dict[str, Any]:
    mesh = table()
    layers = make_build(mesh, Process(**_process()))
    given = (mesh, layers.cell_layer, layers.layer_strain, METAL)
    cuts = release_steps(mesh, [{"box": box} for box in BOXES])
    solved = [run(build_deck(*given, increments=COARSE, cuts=cuts[: n + 1])) for n in (0, 1)]
    return {
        **_part(mesh),
        **_process(),
        "yield_stress": YIELD,
        "hardening_modulus": HARDENING,
        "boxes": BOXES,
        "displacement": np.stack([of.displacement for of in solved]),
        "stress": solved[-1].stress,
        "plastic_strain": solved[-1].plastic_strain,
    }


def thermal_build() -> dict[str, Any]:
    mesh = table()
    layers = make_build(mesh, Process(**_process()))
    deck = thermal_build_deck(
        mesh, layers.cell_layer, STAGE_LAYERS, np.array(STAGES), DEPOSITION, METAL_OVER_TEMPERATURE
    )
    solved = run(deck)
    tables = {
        name: np.array([value.temperature, value.value])
        for name in TABLES
        if isinstance(value := getattr(METAL_OVER_TEMPERATURE, name), Table)
    }
    given = {"layer_height": HEIGHT, "deposition": DEPOSITION, "stage_layers": STAGE_LAYERS}
    results = {name: getattr(solved, name) for name in _FIELDS}
    return {**_part(mesh), **given, "stages": STAGES, **tables, **results}


def _part(mesh: HexMesh) -> dict[str, Any]:
    elasticity = {"youngs_modulus": MODULUS, "poisson_ratio": POISSON}
    return {"mask": mesh.mask, "spacing": mesh.spacing, **elasticity}


def _process() -> dict[str, Any]:
    return {"inherent_strain": STRAIN, "scan_rotation": ROTATION, "layer_height": HEIGHT}


def _plastic(coarse: Solved, fine: Solved) -> dict[str, Any]:
    return {
        "yield_stress": YIELD,
        "hardening_modulus": HARDENING,
        **{f"{name}_coarse": getattr(coarse, name) for name in _FIELDS},
        **{name: getattr(fine, name) for name in _FIELDS},
    }


_FIELDS = ("displacement", "stress", "plastic_strain")


CASES: dict[str, Callable[[], dict[str, Any]]] = {
    "elastic_modes": lambda: elastic("C3D8I"),
    "elastic_plain": lambda: elastic("C3D8"),
    "elastic_plate": elastic_plate,
    "plastic_step": plastic_step,
    "plastic_build": plastic_build,
    "plastic_release": plastic_release,
    "thermal_build": thermal_build,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=DATA)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    options = parser.parse_args()
    if not available():
        parser.error("needs CalculiX; install calculix-ccx")
    options.out.mkdir(parents=True, exist_ok=True)
    for name in options.only:
        case = CASES[name]()
        np.savez_compressed(options.out / f"{name}.npz", **case)
        shares = {
            key: float((case[key] > 0).mean()) for key in case if key.startswith("plastic_strain")
        }
        print(f"{name}: max |u| {np.abs(case['displacement']).max():.4g} mm", shares)


if __name__ == "__main__":
    main()
