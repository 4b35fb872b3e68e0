"""Compiled loop of the square layers of :mod:`flare_mesh.ops.residual_layers`, without gradients.

A task is some rows, which stay in the cache through all layers. Of each layer, the products of a
tile of four rows with a block of columns stay in registers until GELU and the shortcut are computed
from them. With gradients all results must reach the memory, and torch's matrix products with a
pass after each were as fast.
"""

from collections.abc import Callable, Sequence
from functools import cache

import numpy as np
import torch
from torch import Tensor

from flare_mesh.compiled import blocks, layer_blocks
from flare_mesh.compiled.block_code import ROWS, shape
from flare_mesh.compiled.jit import jit
from flare_mesh.compiled.team import fork, next_task, run_tasks
from flare_mesh.ops.numba_tiles import tile_rows

_TASK = 64  # rows; with 64 channels they and the weights of a block are as large as the first cache


# Names: rows are flat; C is the number of channels, k a layer, c the first column of a block, n the
# first row of a tile. Two outputs [2, N, C] take turns.
@cache
def _loop(vectors: int) -> Callable[..., None]:
    """The loop for blocks with so many vectors in a row."""
    columns = vectors * shape(32)[1]

    @jit
    def forward(team, x, weights, bias, channels, first, layers, outputs):
        """The last output is at layers - 1 modulo 2."""
        if fork(team):
            return
        count = len(x) // channels
        task = next_task(team)
        while task * _TASK < count:
            begin, stop = task * _TASK, min((task + 1) * _TASK, count)
            for k in range(layers):
                source, start = (outputs, (k - 1) % 2 * len(x)) if k else (x, 0)
                for c in range(0, channels, columns):
                    matrix = k * channels * channels + c
                    for n in range(begin, stop, ROWS):
                        rows = tile_rows(n, stop, channels, start)
                        z = layer_blocks.repeat(bias, k * channels + c, vectors)
                        z = blocks.add_products(
                            z, source, rows, weights, matrix, channels, channels
                        )
                        y = layer_blocks.gelu(z)
                        if k or first:
                            y = blocks.add(y, layer_blocks.load_rows(source, rows, c, vectors))
                        rows = tile_rows(n, stop, channels, k % 2 * len(x))
                        layer_blocks.store_rows(y, outputs, rows, c)
            task = next_task(team)

    return forward


def fits(x: Tensor, weights: Sequence[Tensor]) -> bool:
    """Whether the loops can take these layers: all square, of whole blocks of columns."""
    channels = x.shape[1]
    square = all(w.shape == (channels, channels) for w in weights)
    return bool(weights) and square and layer_blocks.vectors_of(channels) > 0


def _flat(tensor: Tensor) -> np.ndarray:
    return tensor.detach().reshape(-1).numpy()


def last_output(
    x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor], first: bool
) -> Tensor:
    """Output [N, C] of the last layer, for x [N, C], weights [C, C] and biases [C] in float32."""
    layers, (rows, channels) = len(weights), x.shape
    outputs = torch.empty((min(2, layers), rows, channels))
    transposed = torch.stack([w.detach().t() for w in weights])
    bias = torch.cat([b.detach() for b in biases])
    run_tasks(
        _loop(layer_blocks.vectors_of(channels)), -(-rows // _TASK), _flat(x), _flat(transposed),
        _flat(bias), channels, first, layers, _flat(outputs),
    )  # fmt: skip
    return outputs[(layers - 1) % 2]
