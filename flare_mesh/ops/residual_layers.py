"""All layers of a residual MLP as one function."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn.functional import gelu, linear

from flare_mesh.ops.plain_tensors import are_plain
from flare_mesh.ops.recording import is_plain
from flare_mesh.ops.torch_gradients import needs_torch, torch_gradients

if TYPE_CHECKING:  # Numba is imported where it is needed
    from flare_mesh.ops.numba_layers import Layers

_MIN_SIZE = 2**13  # numbers; for fewer, torch is as fast

# Weight and bias of each layer, one after the other.
Parameters = Sequence[Tensor]


def _by_torch(x: Tensor, parameters: Parameters, first: bool, last: bool) -> Tensor:
    """The layers by torch's operations, which have all derivatives and transforms."""
    *hidden, (weight, bias) = zip(parameters[::2], parameters[1::2], strict=True)
    for i, layer in enumerate(hidden):
        h = gelu(linear(x, *layer), approximate="tanh")
        x = x + h if i or first else h
    y = linear(x, weight, bias)
    return x + y if last else y


def _square_layers(x: Tensor, parameters: Parameters, first: bool, last: bool) -> int:
    """Number of layers that one compiled loop can take.

    They are all with GELU, and the last one if it can; or none.
    """
    from flare_mesh.ops import numba_layers

    weights, biases = parameters[::2], parameters[1::2]
    hidden = len(weights) - 1
    if not (hidden and first and numba_layers.fits(x, weights[:hidden], biases[:hidden])):
        return 0
    return hidden + (last and numba_layers.fits(x, weights[-1:], biases[-1:]))


def _layers(parameters: Parameters, count: int) -> "Layers":
    """The first layers."""
    from flare_mesh.ops import numba_layers

    weights, biases = parameters[::2], parameters[1::2]
    return numba_layers.Layers(weights[:count], biases[:count], len(weights) - 1)


def _compiled(
    x: Tensor,
    parameters: Parameters,
    first: bool,
    last: bool,
    square: int,
    kept: list[Tensor] | None,
) -> Tensor:
    """The layers of rows [N, C], of which one loop takes the first ``square`` ones.

    ``kept`` collects what the gradient needs. Of the compiled loop, that is what each GELU is taken
    of, and the last layer's input if the loop does not compute that layer; else the slope of each
    GELU and the input of the next layer.
    """
    from flare_mesh.ops import numba_gelu, numba_layers

    *hidden, (weight, bias) = zip(parameters[::2], parameters[1::2], strict=True)
    if square:
        x, found = numba_layers.output(x, _layers(parameters, square), kept is not None)
        if kept is not None:
            kept += found
        if square > len(hidden):
            return x
        if kept is not None:
            kept.append(x)
        hidden = []
    for i, (w, b) in enumerate(hidden):
        z = torch.mm(x, w.t())
        shortcut = x if i or first else None
        if kept is None:
            x = numba_gelu.replace(z, b, shortcut)
        else:
            x = numba_gelu.value_and_slope(z, b, shortcut)
            kept += [z, x]
    if last:
        return torch.add(x, bias).addmm_(x, weight.t())
    return torch.addmm(bias, x, weight.t())


class _Layers(torch.autograd.Function):
    """The layers with a gradient that adds into the memory of its matrix products."""

    @staticmethod
    def forward(ctx, first: bool, last: bool, x: Tensor, *parameters: Tensor) -> Tensor:
        kept: list[Tensor] = []
        square = _square_layers(x, parameters, first, last)
        y = _compiled(x, parameters, first, last, square, kept)
        ctx.first, ctx.last, ctx.square = first, last, square
        ctx.save_for_backward(x, *parameters, *kept)
        return y

    @staticmethod
    def backward(ctx, *grads: Tensor):
        saved, needed = ctx.saved_tensors, ctx.needs_input_grad[2:]
        inputs, kept = saved[: len(needed)], saved[len(needed) :]
        if needs_torch(grads[0]):

            def function(x: Tensor, *parameters: Tensor) -> Tensor:
                return _by_torch(x, parameters, ctx.first, ctx.last)

            every = torch_gradients(function, grads[0], inputs, needed)
        elif ctx.square:
            layers = _layers(inputs[1:], ctx.square)
            every = _square_gradients(grads[0], inputs, layers, kept, needed, ctx.last)
        else:
            every = _gradients(grads[0], inputs, kept, needed, ctx.first, ctx.last)
        return None, None, *every


def _square_gradients(
    grad: Tensor,
    inputs: Sequence[Tensor],
    layers: "Layers",
    kept: Sequence[Tensor],
    needed: Sequence[bool],
    last: bool,
) -> list[Tensor | None]:
    from flare_mesh.ops import numba_layers

    end: list[Tensor] = []
    if 2 * len(layers.weights) + 1 < len(inputs):  # the last layer is torch's
        weight = inputs[-2]
        end = [torch.mm(grad.t(), kept[-1]), grad.sum(0)]
        grad = torch.addmm(grad, grad, weight) if last else torch.mm(grad, weight)
    grad_x, weights, biases = numba_layers.gradients(grad, inputs[0], layers, kept[: layers.hidden])
    every = [grad_x, *(t for pair in zip(weights, biases, strict=True) for t in pair), *end]
    return [t if use else None for t, use in zip(every, needed, strict=True)]


def _gradients(
    grad: Tensor,
    inputs: Sequence[Tensor],
    kept: Sequence[Tensor],
    needed: Sequence[bool],
    first: bool,
    last: bool,
) -> list[Tensor | None]:
    weights = inputs[1::2]
    before = [inputs[0], *kept[1::2]]  # input of each layer
    slopes = kept[::2]
    every: list[Tensor | None] = [None] * len(inputs)
    above, step = grad.contiguous(), None
    for i in range(len(weights) - 1, -1, -1):
        # Here `step` is the gradient at the layer's product, `above` that at its residual sum.
        is_last = i == len(slopes)
        if is_last:
            step = above
        else:
            step = torch.mul(above, slopes[i], out=step if i < len(slopes) - 1 else None)
        if needed[1 + 2 * i]:
            every[1 + 2 * i] = torch.mm(step.t(), before[i])
        if needed[2 + 2 * i]:
            every[2 + 2 * i] = step.sum(0)
        if i == 0 and not needed[0]:
            return every
        if not (last if is_last else i or first):
            above = torch.mm(step, weights[i])
        elif is_last:  # the incoming gradient is not ours to overwrite
            above = torch.addmm(above, step, weights[i])
        else:
            above.addmm_(step, weights[i])
    every[0] = above
    return every


def _has_compiled_pass(x: Tensor, parameters: Parameters) -> bool:
    return (
        is_plain()  # first, so that compiled code does not check the size
        and are_plain(x, *parameters)
        and all(
            b.shape == w.shape[:1] for w, b in zip(parameters[::2], parameters[1::2], strict=True)
        )
        and not torch.is_autocast_enabled("cpu")
        and x.numel() >= _MIN_SIZE
        and x.is_contiguous()
    )


def residual_layers(x: Tensor, parameters: Parameters, *, first: bool, last: bool) -> Tensor:
    r"""Hidden layers with GELU and residuals, and a linear layer.

    .. math::
        h_1 = \mathrm{GELU}(W_1 x + b_1)\,[+\,x], \quad
        h_{j+1} = h_j + \mathrm{GELU}(W_{j+1} h_j + b_{j+1}), \quad
        y = W_n h_{n-1} + b_n\,[+\,h_{n-1}]

        \mathrm{GELU}(z) = \frac{z}{2} \left(1 + \tanh\!\left(\sqrt{2 / \pi}\,
        (z + 0.044715\, z^3)\right)\right)

    For large float32 tensors on the CPU, everything after a matrix product is one compiled pass
    over memory, and the gradient adds into the memory of its products. Other tensors take torch's
    operations, and so do second derivatives, forward mode, ``torch.func``, and code that is
    compiled, traced or checkpointed selectively.

    Args:
        x: [..., C].
        parameters: Weight and bias of each layer, one after the other.
        first: Whether to add the bracketed x.
        last: Whether to add the bracketed h.

    Returns:
        [..., out].
    """
    if not _has_compiled_pass(x, parameters):
        return _by_torch(x, parameters, first, last)
    rows = x.view(-1, x.shape[-1])
    if torch.is_grad_enabled():
        y = _Layers.apply(first, last, rows, *parameters)
    else:
        square = _square_layers(rows, parameters, first, last)
        y = _compiled(rows, parameters, first, last, square, None)
    return y.view(*x.shape[:-1], y.shape[-1])
