"""Errors against the distance to the boundary."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from flare_mesh.mesh import MeshData, boundary_faces
from flare_mesh.mesh.face_distance import face_distance
from flare_mesh.visualize.charts.axes import (
    COLOURS,
    FAINT,
    add_note,
    chart_axes,
    set_labels,
    use_log_axis,
    with_unit,
)
from flare_mesh.visualize.charts.values import Values, finite_rows, left_out, value_pair

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BINS = 12
_LEAST = 5  # points of a bin whose quantiles are drawn
_QUANTILES = (0.1, 0.5, 0.9)


def plot_error_by_distance(
    mesh: MeshData,
    predicted: Values,
    truth: Values,
    *,
    field: str = "value",
    unit: str | None = None,
    length_unit: str | None = None,
    title: str = "",
    ax: "Axes | None" = None,
) -> "Axes":
    """Plot the magnitude of the error at the nodes against their distance from the boundary.

    A line is the median, and an area the range from the 10 % to the 90 % quantile, of the nodes
    whose distances are about equal; the first group are the nodes on the boundary. Grey points are
    nodes, at most 3,000 of them, evenly spaced in their order.

    Args:
        mesh: The mesh, with cells.
        predicted: Predicted values at its nodes, [N] or [N, C].
        truth: True values of the same shape.
        field: Name of the field.
        unit: Its unit.
        length_unit: Unit of the coordinates.
        title: Title of the chart.
        ax: Axes to draw on; those of a new figure by default.

    Returns:
        The axes.

    Raises:
        ValueError: If the shapes differ, no value is finite, the mesh has no cells, or a solid or
            surface has no boundary.
        ImportError: If matplotlib is not installed.
    """
    first, second = value_pair(predicted, truth)
    if len(first) != mesh.num_nodes:
        raise ValueError(f"expected values at the {mesh.num_nodes:,} nodes (got {len(first):,})")
    distances = boundary_distance(mesh)
    error = np.linalg.norm(first - second, axis=1)
    (distances, error), dropped = finite_rows(distances, error)
    ax = chart_axes(ax)
    few = slice(None, None, max(1, len(error) // 3_000))
    ax.scatter(
        distances[few], error[few], s=4, color=FAINT, alpha=0.35, linewidths=0, rasterized=True
    )
    centres, rows = distance_quantiles(distances, error)
    low, middle, high = rows.T
    ax.fill_between(centres, low, high, color=COLOURS[0], alpha=0.2, linewidth=0)
    ax.plot(centres, middle, color=COLOURS[0], marker="o", markersize=4, label="median")
    if error.max() > 0:
        use_log_axis(ax)
        positive = error[error > 0]
        ax.set_ylim(max(np.quantile(positive, 0.01), 1e-6 * error.max()) / 2, 2 * error.max())
    add_note(ax, f"median, 10 % to 90 %{left_out(dropped)}", place=(0.97, 0.03))
    x = with_unit("distance from the boundary", length_unit)
    set_labels(ax, x, with_unit(f"error of {field}", unit), title)
    return ax


def boundary_distance(mesh: MeshData) -> NDArray[np.float64]:
    """Distance of each node from the boundary of the mesh, [N]; 0 for the nodes on it.

    Raises:
        ValueError: If the mesh has no cells, or no boundary as a closed surface has none.
    """
    if not mesh.num_cells or set(mesh.cells) == {"vertex"}:
        raise ValueError(
            "expected a mesh with cells for the distance from the boundary (got points alone)"
        )
    faces: dict[str, Any] = boundary_faces(mesh.cells).faces
    if not any(map(len, faces.values())):
        raise ValueError("expected a mesh with a boundary (got a closed surface, which has none)")
    pos = mesh.pos
    inside = torch.ones(len(pos), dtype=torch.bool)
    for nodes in faces.values():
        inside[nodes.long().cpu().flatten()] = False
    found = torch.zeros(len(pos), dtype=torch.float64)
    if bool(inside.any()):
        found[inside] = face_distance(pos.cpu()[inside], pos.cpu(), faces)
    return found.numpy()


def distance_quantiles(
    distance: NDArray[np.float64], error: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean distance [B] and quantiles [B, 3] of the errors of groups of nodes.

    The nodes on the boundary are a group, the others are divided into groups of equal width;
    groups of fewer than 5 nodes are left out, unless all are.
    """
    on_boundary = distance <= 0
    inside = distance[~on_boundary]
    edges = np.linspace(inside.min(), inside.max(), _BINS + 1) if len(inside) else np.zeros(1)
    number = np.where(on_boundary, 0, np.digitize(distance, edges[1:-1]) + 1)
    groups = [number == group for group in np.unique(number)]
    large = [group for group in groups if group.sum() >= _LEAST] or groups
    centres = np.array([distance[group].mean() for group in large])
    return centres, np.array([np.quantile(error[group], _QUANTILES) for group in large])
