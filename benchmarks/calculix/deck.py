"""Input decks of voxel meshes: one step, or a build in layers.

Eigenstrains are given as thermal expansion. Numbers have at most twelve digits, since CalculiX
reads only twenty characters of each.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lpbf import HexMesh
from lpbf.simulate.release_steps import ReleaseStep

Floats = NDArray[np.float64]

# Tolerances of the residual and the correction of each increment, and many iterations. The default
# tolerance of CalculiX is half a percent.
ACCURATE = [
    "*CONTROLS, PARAMETERS=FIELD",
    "1e-9, 1e-9, , , 1e-9",
    "*CONTROLS, PARAMETERS=TIME INCREMENTATION",
    "20, 30, 9, 60, 30",
]


@dataclass(frozen=True)
class Metal:
    """Elastic material, or plastic with a yield curve.

    Args:
        youngs_modulus: MPa.
        poisson_ratio: Dimensionless.
        yield_curve: Pairs of stress (MPa) and equivalent plastic strain.
    """

    youngs_modulus: float
    poisson_ratio: float
    yield_curve: tuple[tuple[float, float], ...] = ()

    def lines(self) -> list[str]:
        elastic = ["*ELASTIC", row(self.youngs_modulus, self.poisson_ratio)]
        return elastic + (
            ["*PLASTIC", *(row(*pair) for pair in self.yield_curve)] if self.yield_curve else []
        )


def step_deck(
    mesh: HexMesh,
    eigenstrain: Floats,
    metal: Metal,
    *,
    element: str = "C3D8I",
    increments: int = 1,
    factor: Floats | None = None,
    results: bool = True,
) -> str:
    """Deck that clamps the bottom of the mesh, strains its first cells, and solves once.

    Args:
        mesh: The part; only its first n cells are used.
        eigenstrain: Strain of each of these cells if it were free, [n, 6].
        metal: Material of all cells.
        element: ``"C3D8I"`` (incompatible modes) or ``"C3D8"`` (plain).
        increments: Number of increments of a plastic step.
        factor: Factor on Young's modulus of each cell, [n]; None for 1.
        results: Whether to write the displacements and stresses.
    """
    factors = np.ones(len(eigenstrain)) if factor is None else factor
    kinds, group = np.unique(np.column_stack([eigenstrain, factors]), axis=0, return_inverse=True)
    lines = nodes_lines(mesh, mesh.cells[: len(eigenstrain)])
    for number, (*strain, times) in enumerate(kinds.tolist()):
        cells = np.flatnonzero(group.ravel() == number)
        lines += cells_lines(f"PART{number}", mesh, cells, element)
        scaled = replace(metal, youngs_modulus=metal.youngs_modulus * times)
        lines += _section(f"PART{number}", scaled, [_expansion(strain)])
    lines += ["*ELSET, ELSET=CELLS", *(f"PART{number}," for number in range(len(kinds)))]
    lines += _step(metal, increments, 1.0, output=results)
    return "\n".join([*lines, ""])


def build_deck(
    mesh: HexMesh,
    cell_layer: NDArray[np.int64],
    layer_strain: Floats,
    metal: Metal,
    *,
    element: str = "C3D8I",
    increments: int = 1,
    cuts: Sequence[ReleaseStep] = (),
) -> str:
    """Deck that activates the layers free of stress, strains each, and cuts the part, in one run.

    The temperature is n + 1 when layer n has its full strain, and the expansion of that layer is a
    function of it that is constant before and after. Layers are activated in separate steps,
    because CalculiX makes new cells free of the strain of their whole first increment.

    Args:
        mesh: The part.
        cell_layer: Layer of each cell, rising, [E].
        layer_strain: Strain of each layer if it were free, [L, 6].
        metal: Material with a yield curve; CalculiX activates no cells in linear calculations.
        element: ``"C3D8I"`` (incompatible modes) or ``"C3D8"`` (plain).
        increments: Number of increments per layer.
        cuts: What each cut leaves. Every component needs nodes on the plate.
    """
    layers = range(len(layer_strain))
    lines = nodes_lines(mesh, mesh.cells)
    for layer in layers:
        lines += cells_lines(f"LAYER{layer}", mesh, np.flatnonzero(cell_layer == layer), element)
        # Expansion times temperature is the strain at the end of each increment.
        times = np.arange(1, len(layers) * increments + 1) / increments
        shares = np.clip(times - layer, 0, 1) / times
        table = [
            f"{_expansion(layer_strain[layer] * share)}, {row(time)}"
            for time, share in zip(times, shares, strict=True)
        ]
        lines += _section(f"LAYER{layer}", metal, table)
    lines += ["*ELSET, ELSET=CELLS", *(f"LAYER{layer}," for layer in layers)]
    for layer in layers:
        if layer == 0:
            change = ["*MODEL CHANGE, TYPE=ELEMENT, REMOVE", *(f"LAYER{n}" for n in layers[1:])]
            lines += _step(metal, increments, 1.0, change=change)
        else:
            change = ["*MODEL CHANGE, TYPE=ELEMENT, ADD=STRAINFREE", f"LAYER{layer}"]
            lines += _step(metal, 1, layer, change=change, output=False)
            lines += _step(metal, increments, layer + 1)
    before = np.ones(mesh.num_cells, dtype=bool)
    for number, cut in enumerate(cuts):
        removed, held, left = f"REMOVED{number}", f"HELD{number}", f"LEFT{number}"
        # Steps may define sets.
        lines += [f"*NSET, NSET={held}", *(f"{n + 1}," for n in np.flatnonzero(cut.on_plate))]
        lines += [f"*ELSET, ELSET={left}", *(f"{n + 1}," for n in np.flatnonzero(cut.left))]
        change = ["*BOUNDARY, OP=NEW", f"{held}, 1, 3"]
        cells = np.flatnonzero(before & ~cut.left)
        if len(cells):
            lines += [f"*ELSET, ELSET={removed}", *(f"{n + 1}," for n in cells)]
            change += ["*MODEL CHANGE, TYPE=ELEMENT, REMOVE", removed]
        lines += _step(metal, 1, len(layers), change=change, cells=left)
        before = cut.left
    return "\n".join([*lines, ""])


def nodes_lines(mesh: HexMesh, cells: NDArray[np.int64], temperature: float = 0.0) -> list[str]:
    """Nodes of some cells, clamped at the bottom of the mesh, with their initial temperature."""
    nodes = np.unique(cells)
    points = mesh.points[nodes]
    clamped = nodes[points[:, 2] == mesh.points[:, 2].min()]
    return [
        "*NODE, NSET=NODES",
        *(f"{n + 1}, {row(*point)}" for n, point in zip(nodes, points, strict=True)),
        "*NSET, NSET=CLAMPED",
        *(f"{n + 1}," for n in clamped),
        "*INITIAL CONDITIONS, TYPE=TEMPERATURE",
        f"NODES, {row(temperature)}",
        "*BOUNDARY",
        "CLAMPED, 1, 3",
    ]


def cells_lines(name: str, mesh: HexMesh, cells: NDArray[np.int64], element: str) -> list[str]:
    """Elements of a set."""
    rows = (f"{cell + 1}, " + ", ".join(map(str, mesh.cells[cell] + 1)) for cell in cells)
    return [f"*ELEMENT, TYPE={element}, ELSET={name}", *rows]


def _section(name: str, metal: Metal, expansion: Iterable[str]) -> list[str]:
    return [
        f"*MATERIAL, NAME={name}",
        *metal.lines(),
        "*EXPANSION, TYPE=ANISO, ZERO=0.",
        *expansion,
        f"*SOLID SECTION, ELSET={name}, MATERIAL={name}",
    ]


def _expansion(strain: Iterable[float]) -> str:
    """Tensor components in CalculiX's order, from engineering shear strains."""
    xx, yy, zz, xy, yz, xz = strain
    return row(xx, yy, zz, xy / 2, xz / 2, yz / 2)


def _step(
    metal: Metal,
    increments: int,
    temperature: float,
    *,
    change: Iterable[str] = (),
    output: bool = True,
    cells: str = "CELLS",
) -> list[str]:
    plastic = bool(metal.yield_curve)
    share = row(1 / increments)
    last = ", FREQUENCY=100000" if plastic else ""
    return [
        "*STEP, INC=100000",
        *(["*STATIC, DIRECT", f"{share}, 1.", *ACCURATE] if plastic else ["*STATIC"]),
        *change,
        "*TEMPERATURE",
        f"NODES, {row(temperature)}",
        *([f"*NODE PRINT, NSET=NODES{last}", "U"] if output else []),
        *([f"*EL PRINT, ELSET={cells}{last}", "S, PEEQ" if plastic else "S"] if output else []),
        "*END STEP",
    ]


def row(*numbers: float) -> str:
    """Numbers of a line."""
    return ", ".join(f"{number:.12g}" for number in numbers)
