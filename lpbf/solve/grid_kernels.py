"""Loops of the multigrid over the nodes ``start`` to ``stop``, compiled for the CPU.

Node arrays are [3, N + 1], one row for each component. Their last node is always zero and replaces
absent neighbours.
"""

import numpy as np

from flare_mesh.compiled.jit import FAST_SUM, jit


@jit(fastmath=FAST_SUM)
def multiply_node_stencil(u, out, stencil, neighbours, start, stop):
    """Write A u of a coarse grid to ``out``: ``stencil`` [N, 3, 81], ``neighbours`` [N, 27]."""
    near = np.empty(81, u.dtype)
    for node in range(start, stop):
        for n in range(27):
            other = neighbours[node, n]
            near[3 * n] = u[0, other]
            near[3 * n + 1] = u[1, other]
            near[3 * n + 2] = u[2, other]
        for c in range(3):
            row = stencil[node, c]
            total = near[0] * row[0]
            for n in range(1, 81):
                total += near[n] * row[n]
            out[c, node] = total


@jit
def smooth(force, image, inverse, direction, u, momentum, step, start, stop):
    """Set direction = momentum direction + step D^-1 (force - image); u += direction.

    ``inverse`` [6, N] holds the blocks of D^-1 as xx, yy, zz, xy, yz, xz.
    """
    for i in range(start, stop):
        x = force[0, i] - image[0, i]
        y = force[1, i] - image[1, i]
        z = force[2, i] - image[2, i]
        xy, yz, xz = inverse[3, i], inverse[4, i], inverse[5, i]
        a = momentum * direction[0, i] + step * (inverse[0, i] * x + xy * y + xz * z)
        b = momentum * direction[1, i] + step * (xy * x + inverse[1, i] * y + yz * z)
        c = momentum * direction[2, i] + step * (xz * x + yz * y + inverse[2, i] * z)
        direction[0, i], direction[1, i], direction[2, i] = a, b, c
        u[0, i] += a
        u[1, i] += b
        u[2, i] += c


@jit
def restrict(force, image, children, out, start, stop):
    """Write P^T (force - image) to ``out``.

    ``children`` [Nc, 27] are at offsets -1, 0, 1 from each coarse node, fastest in x.
    """
    for node in range(start, stop):
        x, y, z = 0.0, 0.0, 0.0
        for n in range(27):
            child = children[node, n]
            weight = 1.0
            if n % 3 != 1:
                weight *= 0.5
            if (n // 3) % 3 != 1:
                weight *= 0.5
            if n // 9 != 1:
                weight *= 0.5
            x += weight * (force[0, child] - image[0, child])
            y += weight * (force[1, child] - image[1, child])
            z += weight * (force[2, child] - image[2, child])
        out[0, node], out[1, node], out[2, node] = x, y, z


@jit
def prolong(coarse, parents, u, start, stop):
    """Add P coarse, the mean over eight ``parents`` [N, 8] that may repeat, to ``u``."""
    for node in range(start, stop):
        x, y, z = 0.0, 0.0, 0.0
        for n in range(8):
            parent = parents[node, n]
            x += coarse[0, parent]
            y += coarse[1, parent]
            z += coarse[2, parent]
        u[0, node] += 0.125 * x
        u[1, node] += 0.125 * y
        u[2, node] += 0.125 * z
