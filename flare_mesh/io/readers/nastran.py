"""Nastran bulk data files.

The reader is our own, since releases of pyNastran need NumPy below 2, and meshio takes the
coordinates of cylindrical systems for x, y and z, and the angle of a shell for a node.
"""

import warnings
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.readers.flat_cells import flat_cells
from flare_mesh.io.readers.nastran_cards import BulkData
from flare_mesh.io.readers.nastran_coordinates import basic_coordinates
from flare_mesh.io.readers.nastran_elements import ELEMENTS, read_elements
from flare_mesh.io.readers.nastran_numbers import integers, reals

_SYSTEMS = {f"CORD{number}{kind}" for number in "12" for kind in "RCS"}
_REFUSED = {
    **dict.fromkeys(("CGEN", "EGRID", "GRIDG", "GRIDD", "GRIDU", "GRIDMOD"), "generated meshes"),
    **dict.fromkeys(("CSUPER", "SEBULK", "SELOC", "SEMPLN", "SECONCT"), "superelements"),
}
# Elements and points without cells of their own.
_LEFT_OUT = {
    *(f"CELAS{number}" for number in range(1, 5)),
    *(f"CDAMP{number}" for number in range(1, 6)),
    *(f"CMASS{number}" for number in range(1, 5)),
    *("CONM1", "CONM2", "CBUSH2D", "CWELD", "CFAST", "CSEAM", "GENEL", "PLOTEL"),
    *("RBE1", "RBE2", "RBE3", "RBE2GS", "RBAR", "RBAR1", "RROD", "RTRPLT", "RTRPLT1"),
    *("RSPLINE", "RJOINT", "RSSCON", "RINGAX", "RINGFL", "POINTAX", "SECTAX"),
    *("GRIDB", "GRIDF", "GRIDS", "CHBDYE", "CHBDYG", "CHBDYP", "CHACAB", "CHACBR", "CAABSF"),
}
# Cards that are neither elements nor points, though their names are similar.
_NO_GEOMETRY = {
    *(
        "GRAV",
        "GROUP",
        "GMBC",
        "GMLOAD",
        "GMSPC",
        "GMCURV",
        "GMSURF",
        "DVGRID",
        "CAERO7",
        "CELLBOX",
    ),
    *("CELLWNG",),
    *("GRDSET", "GUST", "GVECTOR", "CORD3G", "CREEP", "CSET", "CSET1", "CSSCHD", "CLOAD", "CBARAO"),
    *("CONV", "CONVM", "CYJOIN", "CYSYM", "CYAX", "CYSUP", "CONTRLT", "CSUPEXT", "CAMPBLL"),
    *("CAERO1", "CAERO2", "CAERO3", "CAERO4", "CAERO5", "CONTACT", "CONTPRM", "CNTSTB", "GAPPRM"),
}


def read_nastran(path: Path, step: int | None, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read grid points and elements of a bulk data file, as the arrays of ``vtk_arrays``.

    Points are in the basic coordinate system. The property numbers are the cell field
    ``nastran:ref``. Cards that give no cells are left out with a
    :class:`~flare_mesh.io.MeshFileWarning`. Source: MSC and NX Nastran quick reference guides.

    Raises:
        ValueError: If a card cannot be read, the file is cut off, includes other files, or has
            generated meshes or superelements.
    """
    deck = BulkData(path.read_bytes())
    for name, reason in _REFUSED.items():
        if name in deck.counts:
            raise ValueError(
                f"line {deck.line_of(name)}: {name} ({reason}) is not read; write the mesh with "
                f"GRID and element cards"
            )
    numbers, points = _grid_points(deck)
    blocks, left_out, incomplete = read_elements(deck, numbers, points)
    left_out |= {name: count for name, count in deck.counts.items() if name in _LEFT_OUT}
    _warn(path, "cards without cells that are left out", left_out)
    _warn(path, "elements without some of their middle nodes, read as their corners", incomplete)
    _warn(path, "unknown cards that are left out", _unknown(deck))
    return {"points": points, **flat_cells(blocks)}


def _grid_points(deck: BulkData) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Numbers and basic coordinates of the grid points, in the order of the file."""
    cards = deck.cards("GRID", 5)
    if not len(cards.lines):
        raise ValueError("it has no GRID; expected a bulk data file with grid points")
    numbers = integers(cards, slice(0, 1))[:, 0]
    if numbers.min() <= 0:
        line = cards.lines[np.argmax(numbers <= 0)]
        raise ValueError(f"line {line}: expected the number of a grid point in GRID")
    default = 0
    if "GRDSET" in deck.counts:
        if deck.counts["GRDSET"] > 1:
            raise ValueError(f"line {deck.line_of('GRDSET')}: expected only one GRDSET")
        default = int(integers(deck.cards("GRDSET", 2), slice(1, 2))[0, 0])
    systems = integers(cards, slice(1, 2), default=default)[:, 0]
    points = reals(cards, slice(2, 5))
    lines = cards.lines
    order = np.argsort(numbers, kind="stable")
    again = np.diff(numbers[order]) == 0
    if again.any():
        first, second = order[:-1][again], order[1:][again]
        same = (systems[first] == systems[second]) & (points[first] == points[second]).all(axis=1)
        if not same.all():
            row = second[~same][0]
            raise ValueError(
                f"line {lines[row]}: the grid point {numbers[row]} is defined twice, at different "
                f"places; remove one of them"
            )
        kept = np.setdiff1d(np.arange(len(numbers)), second)
        numbers, systems, points = numbers[kept], systems[kept], points[kept]
        lines = lines[kept]
    return numbers, basic_coordinates(deck, numbers, points, systems, lines)


def _unknown(deck: BulkData) -> dict[str, int]:
    """Cards that may be misspelt, or elements that are not known."""
    read = {"GRID", *_SYSTEMS, *ELEMENTS}
    known = read | _LEFT_OUT | _NO_GEOMETRY
    return {
        name: count
        for name, count in deck.counts.items()
        if name not in known
        # Elements begin with C; properties, whose names are similar, with P.
        and (
            name.startswith(("C", "G"))
            or (not name.startswith("P") and get_close_matches(name, read, n=1, cutoff=0.8))
        )
    }


def _warn(path: Path, what: str, counts: dict[str, int]) -> None:
    if counts:
        listed = ", ".join(f"{name} ({count})" for name, count in sorted(counts.items())[:20])
        more = f" and {len(counts) - 20} more" if len(counts) > 20 else ""
        warnings.warn(f"{path}: {what}: {listed}{more}", MeshFileWarning, stacklevel=2)
