"""Tiles of four nodes and the layout of latents, for the compiled loops of the mixer."""

from flare_mesh.compiled.jit import jit

BLOCK = 256  # nodes whose rows stay in the second-level cache during the loop over heads
ABSENT = -3e38  # score of the rows beyond the last node


@jit
def tile_rows(n, stop, stride, head):
    """Positions of a tile's rows; the last node again beyond the end."""
    last = stop - 1
    return (
        min(n, last) * stride + head,
        min(n + 1, last) * stride + head,
        min(n + 2, last) * stride + head,
        min(n + 3, last) * stride + head,
    )


@jit
def transpose(source, sizes, factor, out):
    """out[g, d, m] = factor source[g, m, d]; padding latents are left as they are."""
    latents, channels, padded = sizes
    for g in range(len(source) // (latents * channels)):
        for m in range(latents):
            for d in range(channels):
                value = source[(g * latents + m) * channels + d]
                out[(g * channels + d) * padded + m] = factor * value


@jit
def merge_gradients(partial, graph, sizes, factor, out):
    """out[graph[s], h, m, d] += factor partial[s, h, d, m]."""
    heads, latents, width, channels, padded = sizes
    for s in range(len(graph)):
        for h in range(heads):
            at = (s * heads + h) * channels * padded
            to = (graph[s] * heads + h) * latents * width
            for m in range(latents):
                for d in range(width):
                    out[to + m * width + d] += factor * partial[at + d * padded + m]
