"""Product with the stiffness of many equal bricks, compiled for the CPU."""

import numpy as np

from flare_mesh.compiled.jit import jit

_WIDTH = 64  # cells per chunk; with 24 values each they fit in the first-level cache


@jit
def multiply_bricks(u, out, corners, blocks, kind, factor, start, stop):
    """Add K u of the cells ``start`` to ``stop`` to ``out``.

    Args:
        u: [3, N].
        out: [3, N].
        corners: Nodes of each cell in lexicographic order, [8, E], int32.
        blocks: [K, 8, 3, 3] of :func:`lpbf.solve.brick_modes.mode_blocks`, for each kind of cells.
        kind: Kind of each cell, [E]; [0] if there is one. Runs of one kind are fast.
        factor: Factor on each cell's stiffness, [E]; [0] for none.
    """
    modes = np.empty((24, _WIDTH), u.dtype)
    first, b = start, 0
    while first < stop:
        count = min(_WIDTH, stop - first)
        if len(kind):
            b, equal = kind[first], 1
            while equal < count and kind[first + equal] == b:
                equal += 1
            count = equal
        for c in range(3):
            values = u[c]
            k = 8 * c
            for e in range(count):
                i = first + e
                a0, a1 = values[corners[0, i]], values[corners[1, i]]
                a2, a3 = values[corners[2, i]], values[corners[3, i]]
                a4, a5 = values[corners[4, i]], values[corners[5, i]]
                a6, a7 = values[corners[6, i]], values[corners[7, i]]
                b0, b1, b2, b3 = a1 + a0, a1 - a0, a3 + a2, a3 - a2
                b4, b5, b6, b7 = a5 + a4, a5 - a4, a7 + a6, a7 - a6
                a0, a1, a2, a3 = b2 + b0, b3 + b1, b2 - b0, b3 - b1
                a4, a5, a6, a7 = b6 + b4, b7 + b5, b6 - b4, b7 - b5
                modes[k, e], modes[k + 1, e] = a4 + a0, a5 + a1
                modes[k + 2, e], modes[k + 3, e] = a6 + a2, a7 + a3
                modes[k + 4, e], modes[k + 5, e] = a4 - a0, a5 - a1
                modes[k + 6, e], modes[k + 7, e] = a6 - a2, a7 - a3
        for m in range(8):
            i, j, k = m ^ 1, 8 + (m ^ 2), 16 + (m ^ 4)
            xx, xy, xz = blocks[b, m, 0]
            yy, yz, zz = blocks[b, m, 1, 1], blocks[b, m, 1, 2], blocks[b, m, 2, 2]
            for e in range(count):
                x, y, z = modes[i, e], modes[j, e], modes[k, e]
                modes[i, e] = xx * x + xy * y + xz * z
                modes[j, e] = xy * x + yy * y + yz * z
                modes[k, e] = xz * x + yz * y + zz * z
        if len(factor):
            for k in range(24):
                for e in range(count):
                    modes[k, e] *= factor[first + e]
        for c in range(3):
            k = 8 * c
            for e in range(count):
                a0, a1, a2, a3 = modes[k, e], modes[k + 1, e], modes[k + 2, e], modes[k + 3, e]
                a4, a5, a6, a7 = modes[k + 4, e], modes[k + 5, e], modes[k + 6, e], modes[k + 7, e]
                b0, b1, b2, b3 = a0 - a1, a0 + a1, a2 - a3, a2 + a3
                b4, b5, b6, b7 = a4 - a5, a4 + a5, a6 - a7, a6 + a7
                a0, a1, a2, a3 = b0 - b2, b1 - b3, b0 + b2, b1 + b3
                a4, a5, a6, a7 = b4 - b6, b5 - b7, b4 + b6, b5 + b7
                modes[k, e], modes[k + 1, e] = a0 - a4, a1 - a5
                modes[k + 2, e], modes[k + 3, e] = a2 - a6, a3 - a7
                modes[k + 4, e], modes[k + 5, e] = a0 + a4, a1 + a5
                modes[k + 6, e], modes[k + 7, e] = a2 + a6, a3 + a7
            sums = out[c]
            for n in range(8):
                for e in range(count):
                    sums[corners[n, first + e]] += modes[k + n, e]
        first += count
