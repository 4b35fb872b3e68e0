"""Conversion between a mesh and plain arrays, for all other libraries."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.mesh.cell_storage import VTK_CODES, cell_sizes
from flare_mesh.mesh.cells import check_node_numbers
from flare_mesh.mesh.finite_coordinates import check_finite
from flare_mesh.mesh.mesh_storage import CELL_PREFIX, RESERVED, check_origin
from flare_mesh.mesh.resolution import check_resolution

T = TypeVar("T", bound=Data)


def assemble(
    cls: type[T],
    points: NDArray[Any],
    cell_index: NDArray[np.integer],
    cell_type: NDArray[np.integer],
    node_fields: Mapping[str, NDArray[Any]],
    cell_fields: Mapping[str, NDArray[Any]],
    case_fields: Mapping[str, NDArray[Any]],
    *,
    fields: Collection[str] | None = None,
    optional: Collection[str] = (),
    dtype: torch.dtype | None = torch.float32,
    edges: bool = True,
    origin: Sequence[float] | None = None,
) -> T:
    """Check arrays and assemble a mesh from them.

    Args:
        cls: :class:`~flare_mesh.mesh.MeshData`, which imports this module.
        points: [N, d]; flat points get a third coordinate of zero.
        cell_index: Nodes of all cells.
        cell_type: VTK number of each cell's type, [E].
        node_fields: [N, ...] by name.
        cell_fields: [E, ...] by name.
        case_fields: [1, C] by name; left out if a node field has the same name.
        fields: Names of the fields to convert, of all three kinds; None for all.
        optional: Names of further fields, which may be missing.
        dtype: Type of coordinates and real fields; None for that of the arrays.
        edges: Whether to add ``edge_index``.
        origin: Point that is subtracted from the coordinates in float64, and added again where the
            mesh is written; for coordinates that float32 does not resolve, such as UTM.

    Raises:
        ValueError: If a coordinate is not finite, or float32 does not resolve the coordinates; if a
            cell has a node that does not exist; if a field is missing, has another number of rows,
            or a name that PyG uses.
    """
    if points.ndim != 2 or points.shape[1] > 3:
        raise ValueError(f"expected points of shape [N, 3] (got {list(points.shape)})")
    full = np.zeros((len(points), 3), dtype=points.dtype if points.dtype.kind == "f" else float)
    full[:, : points.shape[1]] = points
    codes = torch.from_numpy(np.array(cell_type, dtype=np.uint8))
    unknown = set(np.unique(cell_type)) - set(VTK_CODES.values())
    if unknown:
        raise ValueError(f"cells of the VTK types {sorted(map(int, unknown))} are not supported")
    check_node_numbers("cells", cell_index, len(points))
    if int(cell_sizes(codes).sum()) != len(cell_index):
        raise ValueError("the number of nodes does not fit the types of the cells")
    if origin is not None:
        full = full.astype(np.float64) - check_origin(origin)
    if dtype == torch.float32 and full.dtype == np.float64 and np.isfinite(full).all():
        check_resolution(full, cell_index, cell_sizes(codes).numpy())
    pos = array_to_tensor(full, dtype)
    check_finite(pos.numpy())
    data: Any = cls(pos=pos)
    if origin is not None:
        data.origin = origin
    data.cell_index = torch.from_numpy(np.array(cell_index, dtype=np.int64))
    data.cell_type = codes
    if fields is not None:
        missing = sorted(set(fields) - set(node_fields) - set(cell_fields) - set(case_fields))
        if missing:
            have = (("node", node_fields), ("cell", cell_fields), ("case", case_fields))
            listed = ", ".join(f"the {kind} fields {sorted(given)}" for kind, given in have)
            raise ValueError(f"no field {missing}; it has {listed}")
    case_fields = {key: value for key, value in case_fields.items() if key not in node_fields}
    for kind, rows, prefix, given in (
        ("node", len(points), "", node_fields),
        ("cell", len(cell_type), CELL_PREFIX, cell_fields),
        ("case", 1, "", case_fields),
    ):
        for name, values in given.items():
            if fields is not None and name not in fields and name not in optional:
                continue
            on_cells = prefix + name in ("cell_index", "cell_type")
            if on_cells or (not prefix and (name in RESERVED or name.startswith(CELL_PREFIX))):
                raise ValueError(
                    f"the field name '{name}' is reserved; rename that {kind} field, or name the "
                    f"other fields in fields"
                )
            if len(values) != rows:
                raise ValueError(
                    f"expected {rows} rows of the {kind} field '{name}' (got {len(values)})"
                )
            data[prefix + name] = array_to_tensor(values, dtype)
    if edges:
        data.edge_index = data.edges()
    return data


def array_to_tensor(values: NDArray[Any], dtype: torch.dtype | None) -> Tensor:
    """Copy an array; real values get ``dtype``, unsigned integers other than uint8 int64.

    Raises:
        ValueError: If the values are not numbers.
    """
    kind, target = values.dtype.kind, values.dtype.newbyteorder("=")
    if kind not in "fiub":
        raise ValueError(f"expected numbers (got values of type {values.dtype})")
    if kind == "u" and target.itemsize > 1:
        if values.size and values.max() > np.iinfo(np.int64).max:
            raise ValueError("expected integers of 63 bits (got larger ones)")
        target = np.dtype(np.int64)
    tensor = torch.from_numpy(np.array(values, dtype=target))
    return tensor if kind != "f" or dtype is None else tensor.to(dtype)


def points_3d(data: Data) -> NDArray[Any]:
    """Coordinates [N, 3] from the origin of the file, with zeros for those of a flat mesh."""
    pos = data["pos"].numpy(force=True)
    full = np.pad(pos, ((0, 0), (0, 3 - pos.shape[1])))
    origin = getattr(data, "origin", None)
    return full if origin is None else full.astype(np.float64) + origin


def field_to_array(values: Tensor) -> NDArray[Any]:
    """A field as in file formats, [N] or [N, C], with booleans as uint8."""
    array = values.numpy(force=True)
    if array.ndim > 2:
        array = array.reshape(len(array), -1)
    return array.astype(np.uint8) if array.dtype == np.bool_ else array
