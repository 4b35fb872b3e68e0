"""Topology of an XDMF grid."""

from itertools import groupby
from typing import Any
from xml.etree.ElementTree import Element

import meshio
import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.xdmf_values import XDMFValues
from flare_mesh.mesh.cells import CELL_NODES

# XDMF's number of each type in mixed topologies.
_CODES = {
    **{4: "triangle", 5: "quad", 6: "tetra", 7: "pyramid", 8: "wedge", 9: "hexahedron"},
    **{0x22: "line3", 0x23: "quad9", 0x24: "triangle6", 0x25: "quad8", 0x26: "tetra10"},
    **{0x27: "pyramid13", 0x28: "wedge15", 0x29: "wedge18"},
    **{0x30: "hexahedron20", 0x32: "hexahedron27"},
}
# Types whose number of nodes follows their number: points, lines and polygons.
_COUNTED = {(1, 1): "vertex", (2, 2): "line", (3, 3): "triangle", (3, 4): "quad"}
_COUNTED_NAMES = {"polyvertex": 1, "polyline": 2, "polygon": 3}
_DEFAULT_NODES = {"polyvertex": "1", "polyline": "2", "polygon": "0"}
_LONG = {"triangle": "tri", "quadrilateral": "quad", "tetrahedron": "tet", "hexahedron": "hex"}
_SHORT = {
    **{"tri": "triangle", "tri_6": "triangle6", "quad": "quad", "quad_8": "quad8"},
    **{"quad_9": "quad9", "tet": "tetra", "tet_10": "tetra10", "pyramid": "pyramid"},
    **{"pyramid_13": "pyramid13", "wedge": "wedge", "wedge_15": "wedge15"},
    **{"wedge_18": "wedge18", "hex": "hexahedron", "hex_20": "hexahedron20"},
    **{"hex_27": "hexahedron27", "edge_3": "line3"},
}


def read_xdmf_cells(topology: Element, values: XDMFValues) -> list[meshio.CellBlock]:
    """The cells of a ``Topology`` element, with nodes numbered from 0.

    Raises:
        ValueError: If the type is not supported, or the values do not fit it.
    """
    given = topology.get("TopologyType") or topology.get("Type") or ""
    name, separator, order = given.lower().partition("_")
    name = _LONG.get(name, name) + separator + order
    first = int(topology.get("BaseOffset", "0"))
    if name == "mixed":
        blocks = _mixed(values.read(topology).ravel(), first)
    else:
        kind = _SHORT.get(name)
        if name in _COUNTED_NAMES:
            count = int(topology.get("NodesPerElement", _DEFAULT_NODES[name]))
            kind = _COUNTED.get((_COUNTED_NAMES[name], count))
        if kind is None:
            raise ValueError(
                f"cells of TopologyType '{given}' are not supported; write an unstructured mesh of "
                f"order 1 or 2, or save the grid as .vti, .vtr or .vts"
            )
        nodes, size = values.read(topology), CELL_NODES[kind]
        if nodes.size % size or (nodes.ndim == 2 and nodes.shape[1] != size):
            raise ValueError(
                f"expected {size} nodes for each cell of type '{given}' (got values of "
                f"shape {list(nodes.shape)})"
            )
        blocks = [meshio.CellBlock(kind, _integers(nodes).reshape(-1, size) - first)]
    declared = topology.get("NumberOfElements") or topology.get("Dimensions")
    got = sum(map(len, blocks))
    if declared is not None and np.prod([int(n) for n in declared.split()]) != got:
        raise ValueError(f"expected {declared} cells, as the Topology declares (got {got})")
    return blocks


def _integers(nodes: NDArray[Any]) -> NDArray[np.int64]:
    whole = nodes.astype(np.int64)
    if nodes.dtype.kind == "f" and (whole != nodes).any():
        raise ValueError("expected node numbers as integers (got fractions)")
    return whole


def _mixed(values: NDArray[Any], first: int) -> list[meshio.CellBlock]:
    """Cells that each follow the number of their type."""
    flat = _integers(values)
    numbers, starts, at = flat.tolist(), [], 0
    while at < len(numbers):
        code, begin = numbers[at], at + 1
        kind = _CODES.get(code)
        if code in (1, 2, 3) and begin < len(numbers):
            kind, begin = _COUNTED.get((code, numbers[begin])), begin + 1
        if kind is None:
            raise ValueError(f"cells of XDMF's type {code} are not supported (at value {at})")
        starts.append((kind, begin))
        at = begin + CELL_NODES[kind]
    if at != len(numbers):
        raise ValueError("the last cell lacks nodes; the file is damaged")
    return [
        meshio.CellBlock(
            kind,
            flat[np.array([begin for _, begin in run])[:, None] + np.arange(CELL_NODES[kind])]
            - first,
        )
        for kind, run in ((kind, list(group)) for kind, group in groupby(starts, lambda s: s[0]))
    ]
