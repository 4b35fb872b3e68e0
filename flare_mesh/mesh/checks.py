"""Checks for faults of a mesh."""

from collections.abc import Collection, Mapping

import torch
from torch import Tensor

from flare_mesh.choices import check_choice
from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.geometry import cell_measures
from flare_mesh.mesh.isoparametric import checked_cells

CHECKS = ("repeated_nodes", "zero_measure", "inverted", "duplicate_nodes", "unused_nodes")
"""Checks of :func:`check_mesh` that can be switched off."""


def check_mesh(
    pos: Tensor,
    cells: Mapping[str, Tensor],
    *,
    allow: Collection[str] = (),
    tolerance: float = 1e-9,
) -> None:
    """Refuse a faulty mesh, with all faults in one error.

    Coordinates must be finite and the cells' nodes must exist. Further faults are:

    - ``repeated_nodes``: a cell has a node twice, as collapsed bricks do,
    - ``zero_measure``: a cell has no length, area or volume, up to rounding,
    - ``inverted``: a cell of the dimension of the coordinates has a negative measure, because it is
      folded or its nodes are not in VTK's order,
    - ``duplicate_nodes``: several nodes have the same position,
    - ``unused_nodes``: a node belongs to no cell.

    Args:
        pos: Coordinates, [N, d]; d is 1, 2 or 3.
        cells: Connectivity [E, nodes] by meshio's cell type.
        allow: Faults that are accepted.
        tolerance: Distance up to which nodes have the same position, relative to the diagonal of
            the bounding box.

    Raises:
        ValueError: If the mesh is faulty, or a name in ``allow`` is unknown.
    """
    for name in allow:
        check_choice("allow: unknown fault", name, CHECKS)
    cells = checked_cells(pos, cells)
    finite = pos.isfinite().all(dim=1)
    if not bool(finite.all()):
        raise ValueError(
            f"expected finite coordinates (got NaN or infinite ones at {_some(~finite, 'nodes')})"
        )
    pos = pos.detach().double()
    problems = [bad for kind, nodes in cells.items() for bad in _bad_cells(pos, kind, nodes)]
    unused = torch.ones(len(pos), dtype=torch.bool, device=pos.device)
    for nodes in cells.values():
        unused[nodes.reshape(-1)] = False
    if bool(unused.any()):
        problems.append(("unused_nodes", f"{_some(unused, 'nodes')} belong to no cell"))
    if "duplicate_nodes" not in allow:
        duplicate = torch.zeros(len(pos), dtype=torch.bool, device=pos.device)
        duplicate[_duplicates(pos, tolerance)] = True
        if bool(duplicate.any()):
            problems.append(("duplicate_nodes", f"{_some(duplicate, 'nodes')} duplicate others"))

    problems = [(name, sentence) for name, sentence in problems if name not in allow]
    if problems:
        sentences = "; ".join(sentence for _, sentence in problems)
        names = ", ".join(repr(name) for name in dict(problems))
        raise ValueError(f"{sentences}; repair the mesh, or allow [{names}] if that is intended")


def _bad_cells(pos: Tensor, kind: str, nodes: Tensor) -> list[tuple[str, str]]:
    """Names and descriptions of the faults of cells of one type."""
    what = f"cells of '{kind}'"
    ordered = nodes.sort(dim=1).values
    measure = cell_measures(pos, {kind: nodes})[kind]
    zero = measure.abs() <= 1e-14 * _extents(pos, nodes) ** CELL_TYPES[kind].dim
    results = {
        "repeated_nodes": ((ordered[:, 1:] == ordered[:, :-1]).any(dim=1), "have a node twice"),
        "zero_measure": (zero, "have no measure"),
        "inverted": ((measure < 0) & ~zero, "are inverted"),
    }
    return [
        (name, f"{_some(bad, what)} {sentence}")
        for name, (bad, sentence) in results.items()
        if bool(bad.any())
    ]


def _some(bad: Tensor, what: str) -> str:
    """Number of bad items, and the first of them."""
    numbers = bad.nonzero()[:, 0]
    first = ", ".join(map(str, numbers[:5].tolist()))
    return f"{len(numbers)} of {len(bad)} {what} ({first}{', ...' if len(numbers) > 5 else ''})"


def _extents(pos: Tensor, nodes: Tensor) -> Tensor:
    """The longest side of each cell's bounding box, [E]."""
    low = high = pos[nodes[:, 0]]
    for column in nodes.unbind(1)[1:]:
        low, high = torch.minimum(low, pos[column]), torch.maximum(high, pos[column])
    return (high - low).amax(dim=1)


def _duplicates(pos: Tensor, tolerance: float) -> Tensor:
    """Nodes within ``tolerance`` diagonals of an earlier one in some order.

    Compares neighbours in the order along a line that no mesh is aligned with: nodes close to each
    other are close along the line, too, and few others are.
    """
    if len(pos) < 2:
        return pos.new_empty(0, dtype=torch.long)
    pos = pos - pos.amin(0)
    diagonal = float(pos.amax(0).norm())
    radius = tolerance * diagonal
    line = torch.tensor([1.0, 2.0, 3.0], dtype=pos.dtype, device=pos.device)[: pos.shape[1]].sqrt()
    along = (pos * (line / line.norm())).sum(dim=1)
    along, rows = along.sort()
    found, step = [], 1
    while step < len(rows):
        pairs = (along[step:] - along[:-step] <= radius + 1e-14 * diagonal).nonzero()[:, 0]
        if not len(pairs):
            break
        apart = (pos[rows[pairs + step]] - pos[rows[pairs]]).norm(dim=1)
        pairs = pairs[apart <= radius] + step
        step += 1
        if len(pairs):
            # After their removal other nodes are neighbours.
            found.append(rows[pairs])
            keep = torch.ones_like(rows, dtype=torch.bool)
            keep[pairs] = False
            along, rows, step = along[keep], rows[keep], 1
    return torch.cat(found) if found else rows[:0]
