"""MED files of Salome and code_aster, versions 3 and 4.

Source: documentation of the MED file library, "Structure of a MED file". Arrays of several columns
are stored one column after the other.
"""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from numpy.typing import NDArray

from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.readers.flat_cells import CellBlock, flat_cells
from flare_mesh.io.readers.med_fields import FieldReader, Place, field_steps
from flare_mesh.io.time_steps import choose_step
from flare_mesh.mesh.cells import CELL_NODES, CELL_TYPES, reflected_order
from flare_mesh.mesh.geometry import cell_measures

_Array = NDArray[Any]

_KINDS = {
    **{"PO1": "vertex", "SE2": "line", "SE3": "line3", "TR3": "triangle", "TR6": "triangle6"},
    **{"QU4": "quad", "QU8": "quad8", "QU9": "quad9", "TE4": "tetra", "T10": "tetra10"},
    **{"PY5": "pyramid", "P13": "pyramid13", "PE6": "wedge", "P15": "wedge15"},
    **{"HE8": "hexahedron", "H20": "hexahedron20"},
}
_CARTESIAN, _UNSTRUCTURED = 0, 0
_SAMPLE = 10_000
_DAMAGED = (OSError, RuntimeError, KeyError, TypeError, AttributeError, UnicodeDecodeError)
_Group = Any  # h5py's types do not know what a file holds


def med_times(path: Path) -> list[float]:
    """Time of each step of the fields; empty if no field has several.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        with h5py.File(path, "r") as file:
            return [time for *_, time in field_steps(file)]
    except _DAMAGED as error:
        raise ValueError(f"{path}: damaged MED file ({error})") from error


def read_med(path: Path, step: int | None, max_bytes: int) -> dict[str, _Array]:
    """Read a mesh, its groups as fields of zeros and ones, and its fields.

    A node or cell to which a field gives no value has NaN.

    Raises:
        ValueError: If the file is damaged, has several meshes, coordinates that are not Cartesian
            or cells that are not supported, or has several steps and none is chosen.
    """
    try:
        with h5py.File(path, "r") as file:
            return _read(path, file, step, max_bytes)
    except _DAMAGED as error:
        raise ValueError(f"damaged MED file ({error})") from error


def _read(path: Path, file: _Group, step: int | None, max_bytes: int) -> dict[str, _Array]:
    meshes = list(file["ENS_MAA"])
    if len(meshes) != 1:
        raise ValueError(f"expected one mesh (got {meshes}); save each in a file of its own")
    mesh = file["ENS_MAA"][meshes[0]]
    _check_kind(mesh)
    content = mesh if "NOE" in mesh else _only_step(mesh)
    points = _table(content["NOE/COO"], int(mesh.attrs["ESP"]), "coordinates").astype(float)
    blocks, families = [], []
    places = {"NOE": Place("node:", slice(0, len(points)))}
    num_cells = 0
    for name in content["MAI"]:
        if name not in _KINDS:
            raise ValueError(
                f"cells of MED's type {name} are not supported; convert them in Salome"
            )
        kind, group = _KINDS[name], content["MAI"][name]
        nodes = _table(group["NOD"], CELL_NODES[kind], f"nodes of {name}").astype(np.int64) - 1
        if nodes.size and not 0 <= nodes.min() <= nodes.max() < len(points):
            raise ValueError(f"cells of type {name} refer to nodes that do not exist")
        if CELL_TYPES[kind].dim > points.shape[1]:
            raise ValueError(f"cells of type {name} do not fit {points.shape[1]} dimensions")
        rows = slice(num_cells, num_cells + len(nodes))
        num_cells = rows.stop
        place = np.arange(rows.start, rows.stop)
        blocks.append(CellBlock(kind, _oriented(kind, nodes, points), place, {}))
        places[f"MAI.{name}"] = Place("cell:", rows)
        families.append(_families(group, len(nodes)))
    sizes = {"node:": len(points), "cell:": num_cells}
    numbers = {
        "node:": _families(content["NOE"], len(points)),
        "cell:": np.concatenate([np.empty(0, np.int64), *families]),
    }
    fields = _groups(file, meshes[0], numbers, max_bytes)
    steps = field_steps(file)
    chosen = choose_step([time for *_, time in steps], step)
    reader = FieldReader(file, meshes[0], places, sizes, max_bytes)
    fields |= reader.read(steps[chosen] if steps else None)
    for message in reader.messages:
        warnings.warn(f"{path}: {message}", MeshFileWarning, stacklevel=2)
    return flat_cells(blocks) | {"points": points} | fields


def _check_kind(mesh: _Group) -> None:
    for name, expected, text in (
        ("TYP", _UNSTRUCTURED, "it is a structured mesh; convert it to an unstructured one"),
        ("REP", _CARTESIAN, "its coordinates are cylindrical or spherical; make them Cartesian"),
    ):
        if int(mesh.attrs.get(name, expected)) != expected:
            raise ValueError(text)
    if int(mesh.attrs["ESP"]) not in (1, 2, 3):
        raise ValueError(f"expected a space of 1 to 3 dimensions (got {mesh.attrs['ESP']})")


def _only_step(mesh: _Group) -> _Group:
    steps = list(mesh)
    if len(steps) != 1:
        raise ValueError(f"expected one step of the mesh (got {len(steps)}); save one step of it")
    return mesh[steps[0]]


def _table(dataset: _Group, columns: int, noun: str) -> _Array:
    """Rows of an array that is stored column by column."""
    values = dataset[()].reshape(-1)
    count = int(dataset.attrs.get("NBR", len(values) // columns))
    if len(values) != count * columns:
        raise ValueError(f"expected {count} rows of {columns} {noun} (got {len(values)} values)")
    return values.reshape(columns, count).T


def _oriented(kind: str, nodes: _Array, points: _Array) -> _Array:
    """The nodes such that the volumes of the cells, or of some of many, add up to a positive one.

    MED's cells are the reflection of VTK's, but not all programs keep to that.
    """
    linear = CELL_TYPES[kind].linear
    if CELL_TYPES[kind].dim < 3:
        return nodes
    some = nodes[:: max(len(nodes) // _SAMPLE, 1), : CELL_NODES[linear]]
    corners = torch.from_numpy(np.ascontiguousarray(some))
    total = cell_measures(torch.from_numpy(points), {linear: corners})[linear].sum()
    # By rows of the transposed table, which is how it is stored.
    return nodes.T[list(reflected_order(kind))].T if total < 0 else nodes


def _families(group: _Group, count: int) -> _Array:
    """Number of the family of each node or cell; 0 for none."""
    if "FAM" not in group:
        return np.zeros(count, np.int64)
    return _table(group["FAM"], 1, "families")[:, 0].astype(np.int64)


def _groups(
    file: _Group, mesh: str, numbers: dict[str, _Array], max_bytes: int
) -> dict[str, _Array]:
    """Flags of the nodes and cells of each group, by key of the field."""
    fields: dict[str, _Array] = {}
    for kind, key in (("NOEUD", "node:"), ("ELEME", "cell:")):
        for number, names in _named_families(file, mesh, kind):
            member = numbers[key] == number
            for name in names if number and member.any() else ():
                if (len(fields) + 1) * len(member) > max_bytes:
                    raise ValueError(f"its groups take more than {max_bytes:,} bytes")
                fields.setdefault(key + name, np.zeros(len(member), np.uint8))[member] = 1
    return fields


def _named_families(file: _Group, mesh: str, kind: str) -> Iterator[tuple[int, list[str]]]:
    found = file.get(f"FAS/{mesh}/{kind}")
    for name in found or ():
        family = found[name]
        if "GRO" in family:
            text = np.ascontiguousarray(family["GRO/NOM"][()])
            rows = text.view(np.uint8).reshape(len(text), -1)
            names = [row.tobytes().split(b"\0")[0].decode(errors="replace").strip() for row in rows]
            yield int(family.attrs["NUM"]), [name for name in names if name]
