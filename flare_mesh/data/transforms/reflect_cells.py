"""The node order of cells after a mirroring."""

from functools import cache

import torch
from torch_geometric.data import Data

from flare_mesh.mesh.cell_storage import VTK_CODES, cell_sizes, types_of
from flare_mesh.mesh.cells import CELL_TYPES


@cache
def reflected_order(kind: str) -> tuple[int, ...]:
    """The order in which a cell's nodes are listed after a mirroring, so that its measure and the
    side of its normal stay what they were.

    The reference cell maps to itself where its first two coordinates are swapped; that of a line
    where it is turned round.
    """
    reference = CELL_TYPES[kind].reference
    place = {point: number for number, point in enumerate(reference)}
    if CELL_TYPES[kind].dim == 1:
        return tuple(place[(1 - point[0],)] for point in reference)
    return tuple(place[point[1::-1] + point[2:]] for point in reference)


def reflect_cells(data: Data) -> None:
    """Lists the nodes of all cells, and of PyG's ``face`` [3, F], the other way round."""
    if isinstance(data.face, torch.Tensor):
        data.face = data.face[[0, 2, 1]]
    if "cell_index" not in data:
        return
    index, codes = data["cell_index"], data["cell_type"]
    starts = cell_sizes(codes).cumsum(0) - cell_sizes(codes)
    mirrored = index.clone()
    for kind in types_of(codes):
        order = torch.tensor(reflected_order(kind), device=index.device)
        first = starts[codes == VTK_CODES[kind]][:, None]
        places = torch.arange(len(order), device=index.device)
        mirrored[first + places] = index[first + order]
    data["cell_index"] = mirrored
