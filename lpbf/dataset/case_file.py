"""File of one case of a data set, in the layout of LPBF_FLARE."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from flare_mesh.documents import load_json
from flare_mesh.files import atomic_path


class CaseFields(Protocol):
    """Hexahedra and their nodal fields."""

    @property
    def points(self) -> NDArray[np.floating]: ...  # [N, 3], mm
    @property
    def cells(self) -> NDArray[np.integer]: ...  # nodes in VTK's order, [E, 8]
    @property
    def temperature(self) -> NDArray[np.floating]: ...  # [N], degrees Celsius
    @property
    def displacement(self) -> NDArray[np.floating]: ...  # [N, 3], mm
    @property
    def von_mises(self) -> NDArray[np.floating]: ...  # [N], MPa


@dataclass(frozen=True, eq=False)
class CaseArrays:
    """The fields of a case as arrays; see :class:`CaseFields`."""

    points: NDArray[np.floating]
    cells: NDArray[np.integer]
    temperature: NDArray[np.floating]
    displacement: NDArray[np.floating]
    von_mises: NDArray[np.floating]


def write_case(
    path: Path,
    fields: CaseFields,
    edge_index: NDArray[np.integer],
    metadata: Mapping[str, Any],
    support_share: NDArray[np.floating] | None = None,
    plate_temperature: NDArray[np.floating] | None = None,
) -> dict[str, Any]:
    """Write a case of a data set, whole or not at all, and return its entry in the index.

    The file holds ``pos`` (mm), ``edge_index``, ``elems``, ``temp`` (C), ``disp`` (mm), ``vmstr``
    (MPa), ``support`` of parts with supports, ``plate_temp`` (C) if it was simulated, and
    ``_metadata`` as JSON text, so that nothing has to be unpickled. The same input gives the same
    bytes.

    Args:
        path: The file, in a folder named after its split.
        fields: Hexahedra and fields.
        edge_index: Edges in both directions, [2, num_edges].
        metadata: Values that JSON can hold, with the name as ``case_id``.
        support_share: Share of supports in the voxels around each node, [N]; None without.
        plate_temperature: Temperature of the plate after each layer and at the end, [L + 1]; None
            if it was not simulated.
    """
    arrays = {
        "pos": fields.points.astype(np.float32),
        "edge_index": edge_index.astype(np.int32),
        "elems": fields.cells.astype(np.int32),
        "temp": fields.temperature.astype(np.float32),
        "disp": fields.displacement.astype(np.float32),
        "vmstr": fields.von_mises.astype(np.float32),
        "_metadata": np.array(json.dumps(metadata, sort_keys=True)),
    }
    if support_share is not None:
        arrays["support"] = support_share.astype(np.float32)
    if plate_temperature is not None:
        arrays["plate_temp"] = plate_temperature.astype(np.float32)
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
    return {
        "case_id": metadata["case_id"],
        "file": f"{path.parent.name}/{path.name}",
        "sha256": hashlib.sha256(buffer.getbuffer()).hexdigest(),
        "num_nodes": len(fields.points),
        "num_edges": edge_index.shape[1],
        "metadata": metadata,
    }


def read_metadata(path: Path) -> dict[str, Any]:
    """Read the metadata of a file of :func:`write_case`."""
    with np.load(path, allow_pickle=False) as file:
        return load_json(str(file["_metadata"]))


def file_digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
