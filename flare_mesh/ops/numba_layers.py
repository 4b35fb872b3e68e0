"""Compiled loops of the square layers of :mod:`flare_mesh.ops.residual_layers`.

A task is some rows, which stay in the cache through all layers, forward and backward. Of each
layer, the products of a tile of four rows with a block of columns stay in registers until GELU and
the shortcut are computed from them. Only what GELU is taken of reaches the memory, if there is a
gradient, which computes the rest from it again.

The number of layers varies, and compiled code takes a fixed number of arrays. So the loops get the
array x and the places of others: their distances from x in numbers.
"""

from collections.abc import Callable, Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from flare_mesh.compiled import blocks, layer_blocks
from flare_mesh.compiled.block_code import ROWS, shape
from flare_mesh.compiled.jit import jit
from flare_mesh.compiled.team import fork, next_member, next_task, num_threads, run_tasks
from flare_mesh.ops.numba_tiles import tile_rows

_TASK = 64  # rows; with 64 channels they and the weights of a layer are as large as the first cache
_PARTS = 2  # for each thread: sums of weight gradients, and tasks that balance the threads


# Names: rows are flat; C is the number of channels, k a layer, c the first column of a block, d the
# first output channel of one, n the first row of a tile, counted from the task's first row, and z
# what GELU is taken of. `hidden` is the number of layers with GELU; one without may follow. Each
# row of `places` is of the weights, biases and z of a layer.
@jit
def _transpose(x, places, channels, out):
    """Weights [k, in, out]."""
    for k in range(len(places)):
        for i in range(channels):
            for o in range(channels):
                at = places[k, 0] + o * channels + i
                out[(k * channels + i) * channels + o] = layer_blocks.number(x, at)


@cache
def _forward(vectors: int) -> Callable[..., None]:
    """The layers' loop for blocks with so many vectors in a row."""
    columns = vectors * shape(32)[1]

    @jit
    def forward(team, x, count, channels, places, hidden, weights, keep, local, out):
        """``keep`` is whether to store z; ``local`` the place of two tasks for each thread."""
        if fork(team):
            return
        layers, length = len(places), _TASK * channels
        local += 2 * length * next_member(team)
        task = next_task(team)
        while task * _TASK < count:
            last = min(_TASK, count - task * _TASK)
            first = source = task * length
            for k in range(layers):
                target = local + k % 2 * length if k < layers - 1 else out + first
                for c in range(0, channels, columns):
                    matrix = k * channels * channels + c
                    for n in range(0, last, ROWS):
                        rows = tile_rows(n, last, channels, source)
                        z = layer_blocks.repeat(x, places[k, 1] + c, vectors)
                        z = blocks.add_products(z, x, rows, 1, weights, matrix, channels, channels)
                        shortcut = layer_blocks.load_rows(x, rows, c, vectors)
                        if k < hidden:
                            if keep:
                                rows = tile_rows(n, last, channels, places[k, 2] + first)
                                layer_blocks.store_rows(z, x, rows, c)
                            z = layer_blocks.gelu(z)
                        rows = tile_rows(n, last, channels, target)
                        layer_blocks.store_rows(blocks.add(z, shortcut), x, rows, c)
                source = target
            task = next_task(team)

    return forward


@cache
def _backward(vectors: int) -> Callable[..., None]:
    """The gradients' loop for blocks with so many vectors in a row."""
    columns = vectors * shape(32)[1]

    @jit
    def backward(team, parts, x, count, channels, places, hidden, grad, grad_x, sums, local):
        """Gradients at x, and the sums of each part: of the weights of all layers, then biases.

        After these is place for a bias. ``local`` is the place of 2 + 2 hidden tasks for each part:
        gradients, and of each layer the values and GELU's slopes.
        """
        if fork(team):
            return
        layers, size, length = len(places), channels * channels, _TASK * channels
        tasks = -(-count // _TASK)
        of_part = layers * (size + channels) + channels
        part = next_task(team)
        while part < parts:
            sums[part * of_part : (part + 1) * of_part] = 0
            above = local + 2 * part * (hidden + 1) * length
            step, values = above + length, above + 2 * length
            for task in range(part * tasks // parts, (part + 1) * tasks // parts):
                first, last = task * length, min(_TASK, count - task * _TASK)
                padded = -(-last // ROWS) * ROWS
                for c in range(0, channels, columns):
                    for n in range(0, last, ROWS):
                        rows = tile_rows(n, last, channels, first)
                        y = layer_blocks.load_rows(x, rows, c, vectors)
                        for k in range(hidden):
                            known = tile_rows(n, last, channels, places[k, 2] + first)
                            z = layer_blocks.load_rows(x, known, c, vectors)
                            z, slope = layer_blocks.gelu_and_slope(z)
                            y = blocks.add(y, z)
                            rows = tile_rows(n, padded, channels, values + 2 * k * length)
                            layer_blocks.store_rows(y, x, rows, c)
                            rows = tile_rows(n, padded, channels, values + (2 * k + 1) * length)
                            layer_blocks.store_rows(slope, x, rows, c)
                        rows = tile_rows(n, last, channels, grad + first)
                        y = layer_blocks.load_rows(x, rows, c, vectors)
                        rows = tile_rows(n, padded, channels, above)
                        layer_blocks.store_rows(y, x, rows, c)
                # Rows of the last tile that do not exist add nothing to the sums.
                for at in range(above + last * channels, above + padded * channels):
                    layer_blocks.set_number(x, at, 0)
                for k in range(layers - 1, -1, -1):
                    source = values + 2 * (k - 1) * length if k else first
                    matrix = part * of_part + k * size
                    bias = part * of_part + layers * size + k * channels
                    of_task = (part + 1) * of_part - channels  # long sums of float32 lose digits
                    sums[of_task : of_task + channels] = 0
                    # The gradient at the layer's product.
                    for n in range(0, last, ROWS):
                        rows = tile_rows(n, padded, channels, above)
                        steps = tile_rows(n, padded, channels, step)
                        slopes = tile_rows(n, padded, channels, values + (2 * k + 1) * length)
                        for c in range(0, channels, columns):
                            y = layer_blocks.load_rows(x, rows, c, vectors)
                            if k < hidden:
                                slope = layer_blocks.load_rows(x, slopes, c, vectors)
                                y = blocks.multiply(y, slope)
                            layer_blocks.store_rows(y, x, steps, c)
                            blocks.scatter_rows(y, sums, of_task + c)
                    for c in range(channels):
                        sums[bias + c] += sums[of_task + c]
                    for d in range(0, channels, ROWS):
                        steps = tile_rows(d, channels, 1, step)
                        rows = tile_rows(d, channels, channels, matrix)
                        for c in range(0, channels, columns):
                            y = layer_blocks.zeros(x, vectors)
                            y = blocks.add_products(
                                y, x, steps, channels, x, source + c, channels, last
                            )
                            y = blocks.add(y, layer_blocks.load_rows(sums, rows, c, vectors))
                            layer_blocks.store_rows(y, sums, rows, c)
                    target = above if k else grad_x + first
                    for c in range(0, channels, columns):
                        for n in range(0, last, ROWS):
                            rows = tile_rows(n, last, channels, above)
                            steps = tile_rows(n, last, channels, step)
                            y = layer_blocks.load_rows(x, rows, c, vectors)
                            y = blocks.add_products(
                                y, x, steps, 1, x, places[k, 0] + c, channels, channels
                            )
                            rows = tile_rows(n, last, channels, target)
                            layer_blocks.store_rows(y, x, rows, c)
            part = next_task(team)

    return backward


@jit
def _add_parts(sums):
    """Add all parts to the first one."""
    for part in range(1, len(sums)):
        for i in range(sums.shape[1]):
            sums[0, i] += sums[part, i]


class Layers(NamedTuple):
    """Square layers with a shortcut.

    Attributes:
        weights: [C, C] of each layer, contiguous float32.
        biases: [C] of each layer.
        hidden: Number of layers with GELU, all or all but the last one.
    """

    weights: Sequence[Tensor]
    biases: Sequence[Tensor]
    hidden: int


def fits(x: Tensor, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> bool:
    """Whether the loops can take these layers: all square, of whole blocks of columns."""
    channels = x.shape[1]
    return (
        bool(weights)
        and all(w.shape == (channels, channels) for w in weights)
        and layer_blocks.vectors_of(channels) > 0
        and all(_has_place(t) for t in (x, *weights, *biases))
    )


def _has_place(tensor: Tensor) -> bool:
    """Whether its distance from others is a whole number of numbers."""
    return tensor.is_contiguous() and tensor.data_ptr() % tensor.element_size() == 0


def _placed(tensor: Tensor) -> Tensor:
    """The tensor, or a copy that has a place."""
    return tensor if _has_place(tensor) else tensor.clone(memory_format=torch.contiguous_format)


def _place(x: Tensor, other: Tensor) -> int:
    return (other.data_ptr() - x.data_ptr()) // x.element_size()


def _places(x: Tensor, layers: Layers, kept: Sequence[Tensor]) -> np.ndarray:
    places = np.zeros((len(layers.weights), 3), np.int64)
    for column, tensors in enumerate((layers.weights, layers.biases, kept)):
        for k, t in enumerate(tensors):
            places[k, column] = _place(x, t)
    return places


def output(x: Tensor, layers: Layers, keep: bool) -> tuple[Tensor, list[Tensor]]:
    """Output [N, C] for x [N, C], float32 and contiguous; with ``keep`` also z of each GELU."""
    rows, channels = x.shape
    kept = [torch.empty_like(x) for _ in range(layers.hidden if keep else 0)]
    out = torch.empty_like(x)
    tasks = -(-rows // _TASK)
    local = x.new_empty((num_threads(tasks), 2, _TASK, channels))
    places, flat = _places(x, layers, kept), x.detach().view(-1).numpy()
    weights = np.empty(len(places) * channels * channels, np.float32)
    _transpose(flat, places, channels, weights)
    run_tasks(
        _forward(layer_blocks.vectors_of(channels)), tasks, flat, rows, channels, places,
        layers.hidden, weights, keep, _place(x, local), _place(x, out),
    )  # fmt: skip
    return out, kept


def gradients(
    grad: Tensor, x: Tensor, layers: Layers, kept: Sequence[Tensor]
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Gradients at x, at all weights and all biases, from that at the output, [N, C]."""
    rows, channels = x.shape
    # Hooks of saved tensors may have moved them.
    grad, x, kept = _placed(grad), _placed(x), [_placed(t) for t in kept]
    layers = layers._replace(weights=[_placed(w) for w in layers.weights])
    count, tasks = len(layers.weights), -(-rows // _TASK)
    parts = min(_PARTS * num_threads(tasks), tasks)
    sums = np.empty((parts, (count * (channels + 1) + 1) * channels), np.float32)
    local = x.new_empty((parts, 2 + 2 * layers.hidden, _TASK, channels))
    grad_x = torch.empty_like(x)
    run_tasks(
        _backward(layer_blocks.vectors_of(channels)), parts, parts, x.detach().view(-1).numpy(),
        rows, channels, _places(x, layers, kept), layers.hidden, _place(x, grad), _place(x, grad_x),
        sums.reshape(-1), _place(x, local),
    )  # fmt: skip
    _add_parts(sums)
    total = torch.from_numpy(sums[0, :-channels])
    weights, biases = total.split([count * channels * channels, count * channels])
    # Copies, as each gradient may be changed or kept without the others.
    grad_weights = [w.clone() for w in weights.view(count, channels, channels)]
    return grad_x, grad_weights, [b.clone() for b in biases.view(count, channels)]
