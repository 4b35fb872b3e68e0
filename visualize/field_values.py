"""The values of a field that a picture shows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from flare_mesh.choices import nearest
from flare_mesh.mesh.convert.pyvista_mesh import pyvista_units
from flare_mesh.mesh.mesh_storage import CELL_PREFIX

_AXES = ("x", "y", "z")
_COMPONENTS = {1: ("x",), 2: _AXES[:2], 3: _AXES, 6: ("xx", "yy", "zz", "xy", "yz", "xz")}


def component_names(channels: int) -> tuple[str, ...]:
    """Names of the components of a field; their numbers, if they have no names."""
    return _COMPONENTS.get(channels) or tuple(map(str, range(channels)))


@dataclass(frozen=True)
class FieldValues:
    """A field at the nodes or in the cells of a mesh.

    Attributes:
        name: Name of the field.
        values: [N, C] or [E, C].
        on_cells: Whether there is one row per cell.
        unit: Unit, empty if it is not known.
    """

    name: str
    values: NDArray[np.floating]
    on_cells: bool = False
    unit: str = ""

    @property
    def channels(self) -> int:
        """Number C of components."""
        return self.values.shape[1]

    @property
    def label(self) -> str:
        """Name and unit."""
        return self.name if self.unit in ("", "1", "-") else f"{self.name} [{self.unit}]"

    @property
    def num_missing(self) -> int:
        """Number of rows with a value that is NaN or infinite."""
        return int((~np.isfinite(self.values).all(axis=1)).sum())

    def scalar(self, component: int | str | None = None) -> "FieldValues":
        """One component, or the norm of a vector, with that in its name.

        Args:
            component: Number of the component from 0; ``"x"``, ``"y"`` or ``"z"``; ``"xx"`` to
                ``"xz"`` of a symmetric tensor; None for the norm of up to three components.

        Raises:
            ValueError: If there is no such component, or there are more than three and none is
                given.
        """
        names = _COMPONENTS.get(self.channels, ())
        if component is None:
            if self.channels == 1:
                return self
            if self.channels > 3:
                raise ValueError(
                    f"'{self.name}': expected one of its {self.channels} components, since only "
                    f"vectors are shown by their norm; choose component "
                    f"{_list(names, self.channels)}"
                )
            norm = np.linalg.norm(self.values, axis=1, keepdims=True)
            return replace(self, name=f"norm of {self.name}", values=norm)
        number = self._component(component, names)
        if self.channels == 1:
            return self
        shown = names[number] if names else str(number)
        return replace(self, name=f"{self.name}, {shown}", values=self.values[:, [number]])

    def _component(self, component: int | str, names: tuple[str, ...]) -> int:
        text = str(component).lower()
        if text in names:
            return names.index(text)
        if text.isdecimal() and int(text) < self.channels:
            return int(text)
        raise ValueError(
            f"'{self.name}' has no component '{component}'; choose {_list(names, self.channels)}"
        )

    def vector(self) -> NDArray[np.floating]:
        """The values as vectors [N, 3]; the third component of plane vectors is 0.

        Raises:
            ValueError: If there are not two or three components.
        """
        if self.channels not in (2, 3):
            raise ValueError(
                f"'{self.name}': expected a vector of 2 or 3 components (got {self.channels})"
            )
        full = np.zeros((len(self.values), 3), self.values.dtype)
        full[:, : self.channels] = self.values
        return full


def _list(names: tuple[str, ...], count: int) -> str:
    numbers = f"0 to {count - 1}" if count > 1 else "0"
    return f"{numbers}, or {', '.join(names)}" if names else numbers


def find_field(grid: Any, field: Any, *, name: str = "field") -> FieldValues:
    """A field of a grid by its name, or from values.

    Args:
        grid: The grid of :func:`~flare_mesh.visualize.dataset.to_grid`.
        field: Name of a node field or else of a cell field, with ``cell_`` before it always of a
            cell field; or a tensor or array of values at the nodes or in the cells, [N], [E], [N,
            C] or [E, C].
        name: Name of values.

    Raises:
        ValueError: If there is no such field, the values do not fit the mesh, or there are as many
            nodes as cells, so that values could be of both.
    """
    if isinstance(field, str):
        return _by_name(grid, field)
    values = field.numpy(force=True) if isinstance(field, torch.Tensor) else np.asarray(field)
    if values.dtype.kind not in "biuf":
        raise ValueError(f"'{name}': expected numbers (got an array of type {values.dtype})")
    count, nodes, cells = len(values) if values.ndim else 0, grid.n_points, grid.n_cells
    if count not in (nodes, cells):
        raise ValueError(
            f"'{name}': expected values at the {nodes} nodes or in the {cells} cells (got "
            f"{list(values.shape)})"
        )
    if nodes == cells and not _only_vertices(grid):
        raise ValueError(
            f"'{name}': the mesh has {nodes} nodes and {cells} cells, and the values could be of "
            f"both; add them to the mesh as a field, and give its name"
        )
    return FieldValues(name, _floats(values), count != nodes)


def _by_name(grid: Any, field: str) -> FieldValues:
    units = pyvista_units(grid)
    nodes, cells = _numeric(grid.point_data), _numeric(grid.cell_data)
    plain = field.removeprefix(CELL_PREFIX)
    for name, known, on_cells in (
        (field, nodes, False),
        (field, cells, True),
        (plain, cells, True),
    ):
        if name in known:
            unit = units.get(field, units.get(name, ""))
            return FieldValues(name, _floats(known[name]), on_cells, unit)
    raise ValueError(f"no field '{field}'; {_advice(field, [*nodes, *cells])}")


def _advice(field: str, known: list[str]) -> str:
    """The nearest field first, and then all."""
    if not known:
        return "the mesh has none; leave out the field to see the mesh alone"
    near, listed = nearest(field, known), ", ".join(sorted(set(known)))
    return f"{near} The fields are {listed}" if near.startswith("did") else f"choose from {listed}"


def at_nodes(grid: Any, values: FieldValues) -> FieldValues:
    """A cell field as means over the cells at each node."""
    if not values.on_cells:
        return values
    lean = grid.copy(deep=False)
    lean.clear_data()
    lean.cell_data["values"] = values.values
    array = np.asarray(lean.cell_data_to_point_data().point_data["values"])
    return replace(values, values=array.reshape(grid.n_points, -1), on_cells=False)


def field_names(grid: Any) -> list[str]:
    """Names of the node fields, and of the cell fields that have other names."""
    return [*{**_numeric(grid.point_data), **_numeric(grid.cell_data)}]


def _numeric(data: Any) -> Mapping[str, NDArray[Any]]:
    arrays = {name: np.asarray(data[name]) for name in data.keys()}  # noqa: SIM118
    return {
        name: values
        for name, values in arrays.items()
        if values.dtype.kind in "biuf" and not name.startswith("vtk")
    }


def _floats(values: NDArray[Any]) -> NDArray[np.floating]:
    kept = values.dtype if values.dtype in (np.float32, np.float64) else np.float64
    return values.reshape(len(values), -1).astype(kept, copy=False)


def _only_vertices(grid: Any) -> bool:
    from flare_mesh.visualize.dataset import cell_dimension

    return cell_dimension(grid) == 0
