"""Input decks of cooling voxel meshes: layers of given temperatures, or coupled with the heat.

Properties over temperature are written at the temperatures that a layer or the part passes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calculix.deck import ACCURATE, cells_lines, nodes_lines, row
from lpbf import HexMesh, Material
from lpbf.core.table import as_table

Floats = NDArray[np.float64]

# Corners of the faces of a brick in the order of CalculiX, F1 to F6.
_FACES = ((0, 1, 2, 3), (4, 7, 6, 5), (0, 4, 5, 1), (1, 5, 6, 2), (2, 6, 7, 3), (3, 7, 4, 0))


def thermal_build_deck(
    mesh: HexMesh,
    cell_layer: NDArray[np.int64],
    stage_layer: Sequence[int],
    temperature: Floats,
    deposition: float,
    material: Material,
) -> str:
    """Deck of a plastic build whose layers have one temperature each, in stages of one increment.

    The temperature of the deck is the number of the stage, from 1, and each layer has one
    material, with the properties at its real temperature in that stage.

    Args:
        mesh: The part, clamped at its bottom.
        cell_layer: Layer of each cell, rising, [E].
        stage_layer: Newest layer in each stage, [S].
        temperature: Temperature of each layer in each stage, [S, L], degrees Celsius.
        deposition: Temperature at which a layer is activated, degrees Celsius.
        material: Elastic, plastic and thermal properties; linear hardening.
    """
    lines = nodes_lines(mesh, mesh.cells)
    newest = np.array(stage_layer)
    layers = range(temperature.shape[1])
    for layer in layers:
        own = np.where(newest >= layer, temperature[:, layer], deposition)
        strain = _free_strain(material, own) - _free_strain(material, np.array(deposition))
        stages = np.arange(1.0, len(own) + 1)
        lines += cells_lines(f"LAYER{layer}", mesh, np.flatnonzero(cell_layer == layer), "C3D8I")
        lines += [
            f"*MATERIAL, NAME=LAYER{layer}",
            *_mechanics(material, own, stages),
            "*EXPANSION, TYPE=ISO, ZERO=0.",
            *(row(s / n, n) for s, n in zip(strain.tolist(), stages.tolist(), strict=True)),
            f"*SOLID SECTION, ELSET=LAYER{layer}, MATERIAL=LAYER{layer}",
        ]
    lines += ["*ELSET, ELSET=CELLS", *(f"LAYER{layer}," for layer in layers)]
    for stage, layer in enumerate(stage_layer, start=1):
        change: list[str] = []
        if stage == 1:
            change = ["*MODEL CHANGE, TYPE=ELEMENT, REMOVE", *(f"LAYER{n}" for n in layers[1:])]
        elif layer != stage_layer[stage - 2]:
            # CalculiX makes new cells free of the strain of their whole first increment.
            add = ["*MODEL CHANGE, TYPE=ELEMENT, ADD=STRAINFREE", f"LAYER{layer}"]
            lines += _static(stage - 1, add, output=False)
        lines += _static(stage, change, output=True)
    return "\n".join([*lines, ""])


def coupled_deck(
    mesh: HexMesh,
    material: Material,
    *,
    start: float,
    outside: float,
    bottom: float,
    others: float,
    times: Sequence[float],
    increments: int,
) -> str:
    """Deck of a block that cools from a uniform temperature, by coupled heat and mechanics.

    Args:
        mesh: The part, clamped at its bottom.
        material: Elastic, plastic and thermal properties, without melting; linear hardening.
        start: Temperature at the beginning, degrees Celsius.
        outside: Temperature of the surroundings, degrees Celsius.
        bottom: Heat transfer at the bottom, W/(m^2 K).
        others: Heat transfer at all other faces, W/(m^2 K).
        times: Ends of the steps, s; each has results.
        increments: Least number of increments in a step; it halves those that do not converge.
    """
    grid = np.linspace(outside - 5, start + 5, 60)
    assert material.conductivity is not None
    assert material.specific_heat is not None
    assert material.density is not None
    strain = _free_strain(material, grid)
    lines = nodes_lines(mesh, mesh.cells, temperature=start)
    lines += cells_lines("CELLS", mesh, np.arange(mesh.num_cells), "C3D8I")
    lines += [
        "*MATERIAL, NAME=METAL",
        *_mechanics(material, grid, grid),
        "*EXPANSION, TYPE=ISO, ZERO=25.",
        *(row(e / (t - 25.0), t) for e, t in zip(strain.tolist(), grid.tolist(), strict=True)),
        "*CONDUCTIVITY",  # mW/(mm K), and t, mm, s below
        *(row(as_table(material.conductivity)(t), t) for t in grid.tolist()),
        "*SPECIFIC HEAT",
        *(row(1e6 * as_table(material.specific_heat)(t), t) for t in grid.tolist()),
        "*DENSITY",
        row(1e-12 * material.density),
        "*SOLID SECTION, ELSET=CELLS, MATERIAL=METAL",
    ]
    films = []
    sides = np.sort(mesh.cells[:, _FACES], axis=2).reshape(-1, 4)
    _, first, count = np.unique(sides, axis=0, return_index=True, return_counts=True)
    for face in np.sort(first[count == 1]).tolist():
        cell, side = divmod(face, 6)
        at_bottom = side == 0 and mesh.cell_index[cell, 2] == 0
        films.append(
            f"{cell + 1}, F{side + 1}, {row(outside, 1e-3 * (bottom if at_bottom else others))}"
        )
    before = 0.0
    for time in times:
        duration = time - before
        lines += [
            "*STEP, INC=100000",
            "*COUPLED TEMPERATURE-DISPLACEMENT",
            row(duration / increments, duration, 1e-6, duration / increments),
            *ACCURATE,
            "*FILM",
            *films,
            "*NODE PRINT, NSET=NODES, FREQUENCY=100000",
            "U, NT",
            "*EL PRINT, ELSET=CELLS, FREQUENCY=100000",
            "S, PEEQ",
            "*END STEP",
        ]
        before = time
    return "\n".join([*lines, ""])


def _free_strain(material: Material, temperature: Floats) -> Floats:
    assert material.thermal_expansion is not None
    return as_table(material.thermal_expansion)(temperature) * (temperature - 25.0)


def _mechanics(material: Material, temperature: Floats, at: Floats) -> list[str]:
    """Elastic and plastic properties at temperatures, listed at the temperatures ``at``."""
    assert material.yield_stress is not None
    modulus, strength, hardening = (
        as_table(value)(temperature).tolist()
        for value in (material.youngs_modulus, material.yield_stress, material.hardening_modulus)
    )
    lines = ["*ELASTIC"]
    lines += [row(e, material.poisson_ratio, t) for e, t in zip(modulus, at.tolist(), strict=True)]
    lines += ["*PLASTIC"]
    for y, h, t in zip(strength, hardening, at.tolist(), strict=True):
        lines += [row(y, 0.0, t), row(y + h, 1.0, t)]
    return lines


def _static(stage: int, change: Sequence[str], *, output: bool) -> list[str]:
    return [
        "*STEP, INC=100000",
        "*STATIC, DIRECT",
        "1., 1.",
        *ACCURATE,
        *change,
        "*TEMPERATURE",
        f"NODES, {row(stage)}",
        *(["*NODE PRINT, NSET=NODES", "U"] if output else []),
        *(["*EL PRINT, ELSET=CELLS", "S, PEEQ"] if output else []),
        "*END STEP",
    ]
