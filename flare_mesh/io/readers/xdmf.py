"""XDMF files, such as those of FEniCS."""

import mmap
import re
import warnings
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import meshio
import numpy as np

from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.readers.xdmf_cells import read_xdmf_cells
from flare_mesh.io.readers.xdmf_tree import XDMFTree
from flare_mesh.io.readers.xdmf_values import XDMFValues
from flare_mesh.io.time_steps import choose_step

_TEMPORAL = re.compile(rb"""CollectionType\s*=\s*["']temporal""", re.IGNORECASE)
_DIMENSIONS = {"XYZ": 3, "XY": 2}


def is_xdmf_series(file: Path) -> bool:
    """Whether an XDMF file, which may be large, has a collection of time steps."""
    try:
        with file.open("rb") as raw, mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as text:
            return _TEMPORAL.search(text) is not None
    except (OSError, ValueError):  # empty or not readable, which read_mesh reports
        return False


def xdmf_times(file: Path) -> list[float]:
    """Time of each step, or its number if it has no time; empty for a file of a single mesh.

    Raises:
        ValueError: If the file is damaged.
    """
    if not is_xdmf_series(file):
        return []
    try:
        return _steps(_open(file))[0]
    except (ValueError, ElementTree.ParseError) as error:
        raise ValueError(f"{file}: damaged XDMF time series ({error})") from error


def read_xdmf(path: Path, step: int | None, max_bytes: int) -> meshio.Mesh:
    """Read the mesh of an XDMF file, or of a time step.

    The fields of all collections of the file are read, such as the functions of dolfinx. A grid
    whose cells are others than those of the mesh, such as tags of facets, is left out with a
    :class:`~flare_mesh.io.MeshFileWarning`. See the XDMF model, https://www.xdmf.org.

    Raises:
        ValueError: If the file is damaged or has content that is not supported, or the step is not
            chosen or does not exist.
    """
    tree = _open(path)
    times, steps = _steps(tree)
    grids = steps[choose_step(times, step)]
    with XDMFValues(path, tree.find) as values:
        return _mesh(path, tree, grids, values)


def _open(file: Path) -> XDMFTree:
    stat = file.stat()
    return _parse(file, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1)
def _parse(file: Path, *state: int) -> XDMFTree:
    """The parsed file; cached until its ``state`` changes, since a series is read step by step."""
    return XDMFTree(file)


def _steps(tree: XDMFTree) -> tuple[list[float], list[list[Element]]]:
    """Time of each step, and its grids, whose fields belong to one mesh."""
    series = [grid for grid in tree.grids if _collection(grid) == "temporal"]
    still = [grid for grid in tree.grids if _collection(grid) != "temporal"]
    if not series:
        return [], [still]
    times = _times(tree, series[0])
    for other in series[1:]:
        if _times(tree, other) != times:
            raise ValueError(
                f"the collections '{series[0].get('Name')}' and '{other.get('Name')}' have "
                f"different times; write them to files of their own"
            )
    return times, [
        [*still, *grids] for grids in zip(*(one.findall("Grid") for one in series), strict=True)
    ]


def _collection(grid: Element) -> str:
    kind = (grid.get("GridType") or "Uniform").lower()
    if kind in ("tree", "subset"):
        raise ValueError(f"the grid '{grid.get('Name')}' is a {kind}, which is not read")
    return (grid.get("CollectionType") or "Spatial").lower() if kind == "collection" else ""


def _times(tree: XDMFTree, collection: Element) -> list[float]:
    grids, listed = collection.findall("Grid"), collection.find("Time")
    if listed is None:
        found = [grid.find("Time") for grid in grids]
        return [float(i if one is None else one.get("Value", i)) for i, one in enumerate(found)]
    with XDMFValues(Path(), tree.find) as values:
        given = values.read(listed).ravel().tolist()
    if (listed.get("TimeType") or "").lower() == "hyperslab" and len(given) == 3:
        start, stride, count = given
        given = [start + stride * number for number in range(min(int(count), len(grids)))]
    if len(given) != len(grids):
        raise ValueError(f"expected {len(grids)} times, one for each grid (got {len(given)})")
    return given


def _mesh(path: Path, tree: XDMFTree, grids: Sequence[Element], values: XDMFValues) -> meshio.Mesh:
    """The mesh of the first grid, with the fields of all grids that have the same mesh."""
    if len(grids) == 1 and _collection(grids[0]):
        return _join([_mesh(path, tree, [block], values) for block in grids[0].findall("Grid")])
    mesh: meshio.Mesh | None = None
    first: dict[str, Element] = {}
    for grid in grids:
        if _collection(grid):
            raise ValueError("blocks of a mesh beside other grids are not read")
        parts = list(tree.children(grid))
        own = {tag: part for part in parts for tag in ("Geometry", "Topology") if part.tag == tag}
        if mesh is None:
            first = own
            mesh = _points_and_cells(grid, own, values)
        elif any(not _same(first[tag], part) for tag, part in own.items()):
            name, base = grid.get("Name"), grids[0].get("Name")
            if not _same(first["Geometry"], own.get("Geometry", first["Geometry"])):
                raise ValueError(
                    f"the grids '{base}' and '{name}' have points of their own; write each to a "
                    f"file of its own"
                )
            warnings.warn(
                f"{path}: the grid '{name}' has other cells than '{base}' and is left out; write "
                f"it to a file of its own",
                MeshFileWarning,
                stacklevel=2,
            )
            continue
        _add_fields(path, mesh, parts, values)
    if mesh is None:
        raise ValueError("expected a Grid with Topology and Geometry (got none)")
    return mesh


def _points_and_cells(grid: Element, parts: dict[str, Element], values: XDMFValues) -> meshio.Mesh:
    if len(parts) < 2:
        raise ValueError(f"the grid '{grid.get('Name')}' lacks its Topology or Geometry")
    geometry = parts["Geometry"]
    kind = (geometry.get("GeometryType") or geometry.get("Type") or "XYZ").upper()
    if kind not in _DIMENSIONS:
        raise ValueError(
            f"a Geometry of type '{kind}' is not read; write the points as XYZ, or save the grid "
            f"as .vti, .vtr or .vts"
        )
    points = values.read(geometry)
    if points.size % _DIMENSIONS[kind]:
        raise ValueError(f"expected coordinates {kind} (got {points.size} numbers)")
    points = points.reshape(-1, _DIMENSIONS[kind])
    cells: Any = read_xdmf_cells(parts["Topology"], values)
    return meshio.Mesh(points, cells)


def _same(one: Element, other: Element) -> bool:
    """Whether two elements are the same, or have the same values."""
    if one is other:
        return True
    pairs = zip(one.iter(), other.iter(), strict=False)
    return len([*one.iter()]) == len([*other.iter()]) and all(
        a.tag == b.tag and a.attrib == b.attrib and (a.text or "").split() == (b.text or "").split()
        for a, b in pairs
    )


def _add_fields(
    path: Path, mesh: meshio.Mesh, parts: Sequence[Element], values: XDMFValues
) -> None:
    """Add the ``Attribute`` elements to the fields of the mesh."""
    bounds = np.cumsum([len(block) for block in mesh.cells])[:-1]
    for part in parts:
        if part.tag != "Attribute":
            continue
        name, center = part.get("Name", ""), (part.get("Center") or "Node").lower()
        if center not in ("node", "cell"):
            warnings.warn(
                f"{path}: the values '{name}' belong to each {center} and are left out; only "
                f"values of nodes and cells are read",
                MeshFileWarning,
                stacklevel=2,
            )
            continue
        fields: dict[str, Any] = mesh.point_data if center == "node" else mesh.cell_data
        if name in fields:
            raise ValueError(f"has two fields '{name}'; rename one")
        found = values.read(part)
        rows = len(mesh.points) if center == "node" else sum(map(len, mesh.cells))
        if len(found) != rows:
            raise ValueError(
                f"expected {rows} rows of the {center} field '{name}' (got {len(found)})"
            )
        fields[name] = found if center == "node" else np.split(found, bounds)


def _join(meshes: Sequence[meshio.Mesh]) -> meshio.Mesh:
    """Blocks as one mesh, with the fields that all of them have."""
    if not meshes:
        raise ValueError("a collection has no grids")
    starts = np.cumsum([0, *(len(mesh.points) for mesh in meshes)])
    point_data: dict[str, Any] = {
        name: np.concatenate([mesh.point_data[name] for mesh in meshes])
        for name in meshes[0].point_data
        if all(name in mesh.point_data for mesh in meshes)
    }
    cell_data: Any = {
        name: [part for mesh in meshes for part in mesh.cell_data[name]]
        for name in meshes[0].cell_data
        if all(name in mesh.cell_data for mesh in meshes)
    }
    cells: Any = [
        (block.type, block.data + start)
        for mesh, start in zip(meshes, starts[:-1], strict=True)
        for block in mesh.cells
    ]
    points = np.concatenate([mesh.points for mesh in meshes])
    return meshio.Mesh(points, cells, point_data=point_data, cell_data=cell_data)
