"""Gmsh's MSH files, versions 2.0 to 2.2 and 4.1, text and binary.

Source: Gmsh reference manual, section "MSH file format". Gmsh's own library is not used, since it
runs files without the head of a mesh as scripts.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.mesh_formats import GMSH_TAG
from flare_mesh.io.readers import gmsh2, gmsh4
from flare_mesh.io.readers.flat_cells import CellBlock, flat_cells
from flare_mesh.io.readers.gmsh_elements import gmsh_node_order
from flare_mesh.io.readers.gmsh_groups import find_groups, physical_names, repeated_elements
from flare_mesh.io.readers.gmsh_sections import MshFile, read_sections
from flare_mesh.io.readers.gmsh_views import View, read_views, view_steps
from flare_mesh.io.readers.labels import Labels
from flare_mesh.io.time_steps import choose_step

_Array = NDArray[Any]
_PLACES = {"NodeData": "node:", "ElementData": "cell:"}


def gmsh_times(path: Path) -> list[float]:
    """Time of each step of the views; empty if no view has several.

    Raises:
        ValueError: If the file is damaged.
    """
    try:
        return [time for _, time in view_steps(read_views(read_sections(path.read_bytes())))]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def read_gmsh(path: Path, step: int | None, max_bytes: int) -> dict[str, _Array]:
    """Read a mesh with its physical groups and the fields of its views.

    The tag of an element's first group is the cell field ``gmsh:physical``, 0 without a group;
    a named group is a cell field of zeros and ones. An element without a value in a view has NaN,
    as has a node that belongs to no element.

    Raises:
        ValueError: If the file is damaged, its version or an element type is not supported, it has
            several steps and none is chosen, or a view has no value at a node of an element.
    """
    file = read_sections(path.read_bytes())
    version = gmsh2 if file.version == 2 else gmsh4
    tags, points = version.read_nodes(file)
    nodes = Labels(tags, "node")
    blocks = version.read_elements(file)
    cells, num_cells = [], 0
    for block in blocks:
        place = np.arange(num_cells, num_cells + len(block.tags))
        num_cells += len(place)
        rows = nodes.rows(block.nodes, f"elements of type {block.kind}")
        order = gmsh_node_order(block.kind)
        rows = rows if order is None else rows[:, order]
        cells.append(CellBlock(block.kind, rows, place, {}))
    groups = find_groups(blocks, physical_names(file), max_bytes)
    fields: dict[str, _Array] = {f"cell:{name}": flag for name, flag in groups.members.items()}
    if groups.first.any():
        fields[f"cell:{GMSH_TAG}"] = groups.first
    numbers = np.concatenate([np.empty(0, np.int64), *(block.tags for block in blocks)])
    first = repeated_elements(blocks) if file.version == 2 else None
    arrays = flat_cells(cells) | {"points": points}
    rows = None
    if first is not None:
        arrays, fields, rows = _without_copies(arrays, fields, first)
    labels = {"node:": nodes, "cell:": Labels(numbers, "element", rows)}
    views = read_views(file)
    needed = {"node:": np.zeros(len(points), bool), "cell:": np.ones(len(arrays["types"]), bool)}
    if views:
        needed["node:"][arrays["index"]] = True
    for key, value in _views(path, file, views, labels, needed, step, max_bytes).items():
        if key in fields:
            _warn(path, f"the view '{key[5:]}' has the name of a group, which is left out")
        fields[key] = value
    return arrays | fields


def _without_copies(
    arrays: dict[str, _Array], fields: dict[str, _Array], first: _Array
) -> tuple[dict[str, _Array], dict[str, _Array], _Array]:
    """Mesh and flags without the copies of elements, and the row of each element in it."""
    kept = first == np.arange(len(first))
    sizes = np.diff(arrays["offset"])
    out = arrays | {
        "index": arrays["index"][np.repeat(kept, sizes)],
        "offset": np.concatenate([[0], np.cumsum(sizes[kept])]),
        "types": arrays["types"][kept],
    }
    rows = (np.cumsum(kept) - 1)[first]
    united = {}
    for name, values in fields.items():
        united[name] = values[kept]
        if name != f"cell:{GMSH_TAG}":  # an element is in the groups of all of its copies
            np.bitwise_or.at(united[name], rows, values)
    return out, united, rows


def _views(
    path: Path,
    file: MshFile,
    views: list[View],
    labels: dict[str, Labels],
    needed: dict[str, _Array],
    step: int | None,
    max_bytes: int,
) -> dict[str, _Array]:
    steps = view_steps(views)
    chosen = choose_step([time for _, time in steps], step)
    fields: dict[str, _Array] = {}
    given: dict[str, _Array] = {}
    other_steps = {view.name for view in views}
    for view in views:
        if steps and view.step != steps[chosen]:
            continue
        other_steps.discard(view.name)
        reason = _left_out(view)
        if reason:
            _warn(path, f"the view '{view.name}' is left out: {reason}")
            continue
        place = _PLACES[view.section]
        key, rows = place + view.name, len(needed[place])
        if key not in fields:
            if 8 * rows * (view.components + sum(f[0].size for f in fields.values())) > max_bytes:
                raise ValueError(
                    f"its fields take more than {max_bytes:,} bytes; if the file is to be "
                    f"trusted, raise max_bytes"
                )
            fields[key] = np.full((rows, view.components), np.nan)
            given[key] = np.zeros(rows, bool)
        _fill(path, view, file.order, labels[place], fields[key], given[key])
    for key, flag in given.items():
        missing = int((needed[key[:5]] & ~flag).sum())
        if missing and key.startswith("node:"):
            raise ValueError(
                f"the view '{key[5:]}' has no value at {missing} of {len(flag)} nodes; save it for "
                f"all nodes, or remove it"
            )
        if missing:
            _warn(path, f"'{key[5:]}' has no value on {missing} of {len(flag)} elements: NaN there")
    if other_steps:
        _warn(path, f"the views {sorted(other_steps)} have no values at the chosen step")
    return {key: values[:, 0] if values.shape[1] == 1 else values for key, values in fields.items()}


def _left_out(view: View) -> str | None:
    """Why a view cannot be a field of nodes or cells; None if it can."""
    if view.section == "ElementNodeData":
        return "its values belong to the nodes of each element ($ElementNodeData)"
    if not view.name:
        return "it has no name"
    return None if view.count else "it has no values"


def _fill(
    path: Path, view: View, order: str | None, labels: Labels, field: _Array, given: _Array
) -> None:
    """Write the values of a section, one partition of a view, into its field.

    Raises:
        ValueError: If a node or element gets two values, or another number of components.
    """
    tags, values = view.values(order)
    if view.components != field.shape[1]:
        raise ValueError(
            f"'{view.name}' has {field.shape[1]} and {view.components} components at one step"
        )
    rows = labels.find(tags)
    there = rows >= 0
    if not there.all():
        missing = int((~there).sum())
        _warn(path, f"{missing} values of '{view.name}' belong to nodes or elements not in it")
        rows, values = rows[there], values[there]
    before = given[rows].copy()
    same = np.array_equal(field[rows[before]], values[before], equal_nan=True)
    field[rows], given[rows] = values, True
    if not same or not np.array_equal(field[rows], values, equal_nan=True):
        raise ValueError(f"'{view.name}' has two values for one node or element")


def _warn(path: Path, text: str) -> None:
    warnings.warn(f"{path}: {text}", MeshFileWarning, stacklevel=2)
