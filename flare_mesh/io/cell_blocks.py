"""Meshes whose cells come in blocks of one type."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.mesh.cell_storage import VTK_CODES

Arrays = dict[str, NDArray[Any]]


def blocks_to_arrays(
    points: NDArray[Any],
    blocks: Sequence[tuple[str, NDArray[np.integer]]],
    node_fields: Mapping[str, NDArray[Any]],
    cell_fields: Mapping[str, Sequence[NDArray[Any]]],
    case_fields: Mapping[str, NDArray[Any]] | None = None,
    node_sets: Mapping[str, NDArray[np.integer]] | None = None,
) -> Arrays:
    """The arrays of :func:`~flare_mesh.mesh.vtk_arrays.vtk_arrays` from blocks of cells.

    Args:
        points: [N, d].
        blocks: Type and nodes [E, nodes] of each block.
        node_fields: [N, ...] by name.
        cell_fields: [E, ...] of each block, by name.
        case_fields: Numbers of the case by name.
        node_sets: Nodes of sets, which become fields of zeros and ones unless a field has the name.
    """
    counts = [len(nodes) for _, nodes in blocks]
    sizes = np.repeat([nodes.shape[1] for _, nodes in blocks], counts)
    flat = [np.empty(0, np.int64), *(nodes.reshape(-1) for _, nodes in blocks)]
    arrays: Arrays = {
        "points": points,
        "index": np.concatenate(flat),
        "offset": np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        "types": np.repeat([VTK_CODES[kind] for kind, _ in blocks], counts).astype(np.uint8),
    }
    for name, nodes in (node_sets or {}).items():
        member = np.zeros(len(points), dtype=np.uint8)
        member[nodes] = 1
        arrays["node:" + name] = member
    arrays |= {"node:" + name: values for name, values in node_fields.items()}
    arrays |= {
        "cell:" + name: np.concatenate(parts) for name, parts in cell_fields.items() if parts
    }
    arrays |= {"case:" + name: v.reshape(1, -1) for name, v in (case_fields or {}).items()}
    return arrays
