"""Bodies of a surface that face the wrong way."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from lpbf.core.fill import Filled, winding_along_z

if TYPE_CHECKING:
    import trimesh

# Bodies are looked at one by one on the whole grid, as long as these are not too many voxels.
_MAX_VOXELS = 200_000_000


def body_labels(surface: "trimesh.Trimesh") -> NDArray[np.int64]:
    """Number of the body of each triangle, from 0; bodies share no edge."""
    from trimesh.graph import connected_component_labels

    return connected_component_labels(surface.face_adjacency, node_count=len(surface.faces))


def orient_bodies(
    filled: Filled,
    triangles: NDArray[np.float64],
    labels: NDArray[np.int64],
    sizes: NDArray[np.float64],
    origin: NDArray[np.float64],
) -> tuple[Filled, NDArray[np.float64], list[str]]:
    """Fill bodies that are inside out as if they faced outwards.

    A body that faces inwards is a cavity if it lies within others, and otherwise inside out. A body
    that faces outwards and lies within others changes nothing.

    Args:
        filled: Voxels inside a closed surface.
        triangles: Corners of the triangles, [T, 3, 3].
        labels: Body of each triangle, [T].
        sizes: Edge lengths of a voxel, [3].
        origin: Lower corner of the grid, [3].

    Returns:
        The voxels and the triangles with all bodies facing outwards, and a note on each body that
        is not as it should be.
    """
    winding = filled.winding
    assert winding is not None
    volumes = np.bincount(labels, _signed_volumes(triangles))
    low, high = int(winding.min()), int(winding.max())
    is_plain = (low >= 0 and high <= 1) or (low >= -1 and high <= 0)
    if is_plain or len(volumes) * winding.size > _MAX_VOXELS:
        return filled, triangles, []
    bodies = [triangles[labels == body] for body in range(len(volumes))]
    alone = [winding_along_z(body, winding.shape, sizes, origin)[0] for body in bodies]
    inside = [one != 0 for one in alone]
    around = _containers(inside, np.abs(volumes))
    outermost = {body for body, outer in enumerate(around) if not outer and inside[body].any()}
    turned = {body for body in outermost if volumes[body] < 0}
    notes = []
    if turned != outermost:  # otherwise the whole surface is inside out
        notes = [
            f"{_body_text(bodies[body])} is inside out, and is filled all the same"
            for body in sorted(turned)
        ]
    # The bodies within such a body, its cavities, are inside out as well.
    turned |= {body for body, outer in enumerate(around) if outer and outer & outermost <= turned}
    for body in turned:
        winding = winding - 2 * alone[body]
    for body, volume in enumerate(volumes):
        outwards = (volume > 0) != (body in turned)
        own = np.abs(alone[body])
        if outwards and inside[body].any() and (winding - own)[inside[body]].min() >= 1:
            notes.append(
                f"{_body_text(bodies[body])} lies within another one and changes nothing; if it is "
                f"a cavity, its triangles must face inwards"
            )
    backwards = np.isin(labels, list(turned))[:, None, None]
    return Filled(winding != 0, winding), np.where(backwards, triangles[:, ::-1], triangles), notes


def _containers(inside: list[NDArray[np.bool_]], volumes: NDArray[np.float64]) -> list[set[int]]:
    """Bodies around each body; the first of equal ones is around the others."""
    order = sorted(range(len(inside)), key=lambda body: -volumes[body])
    around: list[set[int]] = [set() for _ in inside]
    for place, body in enumerate(order):
        own = np.flatnonzero(inside[body])
        around[body] = {j for j in order[:place] if len(own) and inside[j].flat[own].all()}
    return around


def _signed_volumes(triangles: NDArray[np.float64]) -> NDArray[np.float64]:
    """Volumes between the triangles and the first corner, mm^3."""
    a, b, c = np.moveaxis(triangles - triangles[0, 0], 1, 0)
    return np.einsum("ni,ni->n", a, np.cross(b, c)) / 6


def _body_text(triangles: NDArray[np.float64]) -> str:
    low, high = triangles.min(axis=(0, 1)), triangles.max(axis=(0, 1))
    size = " x ".join(f"{edge:.4g}" for edge in high - low)
    x, y, z = (low + high) / 2
    return f"a body of {size} mm around ({x:.4g}, {y:.4g}, {z:.4g}) mm on the plate"
