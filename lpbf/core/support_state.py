"""State of a part's supports in a result."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lpbf.core.mesh import HexMesh
from lpbf.core.stress import principal_stress, von_mises
from lpbf.core.support_cells import with_supports


@dataclass(frozen=True, eq=False)
class SupportState:
    """The supports of a part: at the end, or right before they are taken off.

    Attributes:
        mesh: Their voxels.
        displacement: At their nodes, [n, 3], mm.
        displacement_on_plate: Before the release, [n, 3], mm; None without a release.
        fields: Fields of a :class:`Result` that are means of cells, at their nodes by name, for
            instance ``"stress"`` of the homogeneous voxels, whose walls bear it on the volume
            fraction of its area.
    """

    mesh: HexMesh
    displacement: NDArray[np.float64]
    displacement_on_plate: NDArray[np.float64] | None
    fields: Mapping[str, NDArray[np.float64]]


def append_supports(
    mesh: HexMesh,
    supports: SupportState,
    fields: Mapping[str, NDArray[np.float64]],
    voxels: Mapping[str, NDArray[np.int64]],
) -> tuple[NDArray[np.float64], NDArray[np.int64], dict[str, Any], dict[str, Any]]:
    """Append the supports to a part and its fields.

    Args:
        mesh: The part, N nodes and E cells.
        supports: Its supports.
        fields: Fields at the part's nodes by name, [N] or [N, C]. Nodes of the supports alone get
            theirs: 1 as the share of supports, and the supports' displacement for any
            displacement after a step of the release.
        voxels: Fields of the part's cells by name, [E]; 0 in the supports.

    Returns:
        Points, cells, and fields of nodes and cells, with ``is_support`` 1 in the supports.
    """
    whole = with_supports(mesh)
    number = np.full(whole.num_nodes, -1)
    number[mesh.nodes_in(whole)] = np.arange(mesh.num_nodes)
    ids = supports.mesh.nodes_in(whole)
    own = number[ids] < 0
    number[ids[own]] = mesh.num_nodes + np.arange(own.sum())
    values = {
        **supports.fields,
        "von_mises": von_mises(supports.fields["stress"]),
        "principal_stress": principal_stress(supports.fields["stress"]),
        "displacement_on_plate": supports.displacement_on_plate,
        "support_share": np.ones(len(ids)),
    }
    joined = {
        name: np.concatenate([part, values.get(name, supports.displacement)[own]])
        for name, part in fields.items()
    }
    counts = mesh.num_cells, supports.mesh.num_cells
    kinds = {name: np.pad(part, (0, counts[1])) for name, part in voxels.items()}
    kinds["is_support"] = np.repeat([0, 1], counts)
    points = np.concatenate([mesh.points, supports.mesh.points[own]])
    cells = np.concatenate([mesh.cells, number[ids][supports.mesh.cells]])
    return points, cells, joined, kinds
