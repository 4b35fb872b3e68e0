"""One case of a data set as a file, in the layout of LPBF_FLARE."""

import hashlib
import json
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from flare_mesh.files import atomic_path


class CaseFields(Protocol):
    """What a case file holds: hexahedra and the fields of their N nodes."""

    @property
    def points(self) -> NDArray[np.floating]:
        """[N, 3], mm."""
        ...

    @property
    def cells(self) -> NDArray[np.integer]:
        """Nodes in VTK's order, [E, 8]."""
        ...

    @property
    def temperature(self) -> NDArray[np.floating]:
        """[N], degrees Celsius."""
        ...

    @property
    def displacement(self) -> NDArray[np.floating]:
        """[N, 3], mm."""
        ...

    @property
    def von_mises(self) -> NDArray[np.floating]:
        """[N], MPa."""
        ...


def write_case(
    path: Path, case: CaseFields, edge_index: NDArray[np.integer], metadata: Mapping[str, Any]
) -> str:
    """Writes ``pos`` (mm), ``edge_index``, ``elems``, ``temp`` (C), ``disp`` (mm), ``vmstr`` (MPa).

    ``_metadata`` is JSON text, so that nothing in the file has to be unpickled. The same input
    gives the same bytes; the file appears whole or not at all.

    Args:
        path: The file.
        case: Hexahedra and fields.
        edge_index: Their edges in both directions, [2, num_edges].
        metadata: As JSON holds it.

    Returns:
        SHA-256 of the file.
    """
    arrays = {
        "pos": case.points.astype(np.float32),
        "edge_index": edge_index.astype(np.int32),
        "elems": case.cells.astype(np.int32),
        "temp": case.temperature.astype(np.float32),
        "disp": case.displacement.astype(np.float32),
        "vmstr": case.von_mises.astype(np.float32),
        "_metadata": np.array(json.dumps(metadata, sort_keys=True)),
    }
    buffer = BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())
    return hashlib.sha256(buffer.getbuffer()).hexdigest()


def read_metadata(path: Path) -> dict[str, Any]:
    """The metadata of a case written by :func:`write_case`."""
    with np.load(path, allow_pickle=False) as file:
        return json.loads(str(file["_metadata"]))


def file_digest(path: Path) -> str:
    """SHA-256 of a file: tells one that is damaged or was replaced."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
