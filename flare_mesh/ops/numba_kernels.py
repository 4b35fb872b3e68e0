"""The mixer, its two halves and their gradients on a CPU, compiled by Numba.

The kernels (``numba_encode``, ``numba_decode``) take tiles of four nodes with two vector registers
of latents: the scores of a tile are computed, exponentiated and multiplied into the sums in
registers (``compiled.blocks``). Exponentials are base 2, with log2(e) and the scale multiplied into
the queries.

Each graph is divided into pieces of similar size, which depend on its own number of nodes only
(``numba_plan``). Each piece has its own sums over the nodes, which are then merged for each graph
(log-sum-exp): the results depend neither on the other graphs nor on the number or the order of the
threads.
"""

import numpy as np
import torch
from torch import Tensor

from flare_mesh.compiled.processor import check_features
from flare_mesh.ops.numba_passes import Passes, from_loops, to_loops
from flare_mesh.ops.numba_tiles import LN2, tile_rows


def test_compilation() -> None:
    """Compile a small loop and run it.

    Raises:
        Exception: If that fails on this processor.
    """
    check_features()
    if tile_rows(0, 3, 8, 1) != (1, 9, 17, 17):
        raise RuntimeError("a compiled loop gave a wrong result")


def encode(
    query: Tensor, key: Tensor, value: Tensor, ptr: Tensor, log_weight: Tensor | None, scale: float
) -> tuple[Tensor, Tensor]:
    """First half: latents [B, H, M, D] and log-sum-exps [B, H, M], 0 and -inf for an empty graph.

    Shapes: query [B, H, M, D], with a batch stride of 0 not copied for each graph; key, value
    [N, H, D]; ptr [B + 1]; log_weight [N] or None. Results are in float32 (float64 for float64).
    """
    passes = Passes(query, key, ptr, scale)
    latent, lse = passes.encode(passes.rows(value), passes.bias(log_weight))
    latents = query.shape[2]
    return from_loops(latent, query), torch.from_numpy(lse[..., :latents] * lse.dtype.type(LN2))


def encode_backward(
    grad_latent: Tensor,
    grad_lse: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ptr: Tensor,
    log_weight: Tensor | None,
    latent: Tensor,
    lse: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients for query, key, value and log_weight, from those for latents and log-sum-exps.

    That for log_weight is empty if it is None.
    """
    passes = Passes(query, key, ptr, scale)
    dz = to_loops(grad_latent, passes.dtype, passes.padded)
    delta = passes.pad((grad_latent * latent).sum(-1) - grad_lse)
    dq, dk, dv, dw = passes.encode_backward(
        passes.rows(value), passes.bias(log_weight), dz, delta, passes.pad(lse / LN2), None
    )
    return passes.grad_query(dq), dk, dv, dw


def decode(
    query: Tensor, key: Tensor, latent: Tensor, ptr: Tensor, scale: float
) -> tuple[Tensor, Tensor]:
    """Second half: values [N, H, D] in the dtype of ``key``, and log-sum-exps [N, H] in base 2.

    Shapes as :func:`encode`, and latent [B, H, M, D].
    """
    passes = Passes(query, key, ptr, scale)
    out, total, top = passes.decode(to_loops(latent, passes.dtype, passes.padded))
    return out, total.log2_().add_(top)


def decode_backward(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    latent: Tensor,
    ptr: Tensor,
    out: Tensor,
    lse: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients for query, key and latent, from those for the values."""
    passes = Passes(query, key, ptr, scale)
    z = to_loops(latent, passes.dtype, passes.padded)
    dq, dk, dz = passes.decode_backward(grad_out, z, out, lse)
    return passes.grad_query(dq), dk, from_loops(dz, query)


def mix(
    query: Tensor, key: Tensor, value: Tensor, ptr: Tensor, log_weight: Tensor | None, scale: float
) -> Tensor:
    """Both halves: values [N, H, D] in the dtype of ``key``; shapes as :func:`encode`."""
    passes = Passes(query, key, ptr, scale)
    latent, _ = passes.encode(passes.rows(value), passes.bias(log_weight))
    return passes.decode(latent)[0]


def mix_forward(
    query: Tensor, key: Tensor, value: Tensor, ptr: Tensor, log_weight: Tensor | None, scale: float
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Values of :func:`mix`, and what :func:`mix_backward` needs.

    That is the log-sum-exps of the nodes, and queries, latents and their log-sum-exps in the
    layout of the loops.
    """
    passes = Passes(query, key, ptr, scale)
    latent, lse = passes.encode(passes.rows(value), passes.bias(log_weight))
    out, total, top = passes.decode(latent)
    columns, latent, lse = (torch.from_numpy(a) for a in (passes.columns, latent, lse))
    return out, total.log2_().add_(top), columns, latent, lse


def mix_backward(
    grad_out: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ptr: Tensor,
    log_weight: Tensor | None,
    out: Tensor,
    of_nodes: Tensor,
    columns: Tensor,
    latent: Tensor,
    lse: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of :func:`mix` for query, key, value and log_weight, as :func:`encode_backward`."""
    passes = Passes(query, key, ptr, scale, columns.numpy())
    z = latent.numpy()
    dq, dk, dz = passes.decode_backward(grad_out, z, out, of_nodes)
    delta = np.einsum("bhdm,bhdm->bhm", dz, z)
    dq, more, dv, dw = passes.encode_backward(
        passes.rows(value), passes.bias(log_weight), dz, delta, lse.numpy(), dq
    )
    return passes.grad_query(dq), dk.add_(more), dv, dw
