"""The mixing matrix of each head: its eigenvalues and its two factors, without the matrix."""

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.streaming import chunk_ranges
from flare_mesh.ops import checks
from flare_mesh.ops.layout import flatten_nodes, log_weights
from flare_mesh.ops.precision import sum_dtype, wide

# Numbers in each of the few work arrays with the scores of a chunk of nodes.
_CHUNK = 2**22


class AttentionMaps(NamedTuple):
    """The two factors of a graph's mixing matrices, ``decode @ encode`` [H, N, N].

    Attributes:
        encode: Softmax weights of the nodes in each latent, [H, M, N]; rows sum to one.
        decode: Softmax weights of the latents in each node, [H, N, M]; rows sum to one.
    """

    encode: Tensor
    decode: Tensor


@torch.no_grad()
def mixing_spectrum(
    query: Tensor,
    key: Tensor,
    *,
    ptr: Tensor | None = None,
    weight: Tensor | None = None,
    scale: float = 1.0,
) -> Tensor:
    r"""Eigenvalues of each head's N x N mixing matrix, from an M x M matrix.

    The spectral analysis of FLARE (arXiv 2508.12594), extended by node weights. With scores
    :math:`S = s\, K Q^T` [N, M], the layer's output is :math:`W V`, and W is similar to a
    symmetric positive semi-definite matrix:

    .. math::
        W = \mathrm{softmax}_M(S)\, \mathrm{softmax}_N(S + \log w)^T \sim A A^T, \qquad
        A = \mathrm{diag}(w / r)^{1/2}\, e^S\, \mathrm{diag}(1 / l)^{1/2}

    where r are the sums of :math:`e^S` over the latents and l the sums of :math:`w e^S` over the
    nodes. The eigenvalues are real, from 0 to 1, and the largest is 1 (constants pass unchanged).
    They are the eigenvalues of :math:`A^T A` [M, M], and 0. Each entry of A is the geometric mean
    of an encode and a decode weight, so that no score overflows.

    The cost is O(N H M (D + M) + B H M^3). In memory are the scores of a chunk of nodes and the H
    matrices of a graph. The precision is float64; there are no gradients.

    Args:
        query: Latent queries, [H, M, D] shared by the graphs, or [B, H, M, D].
        key: [B, H, N, D], or [N, H, D] with ``ptr``.
        ptr: Offsets of the graphs in a flat batch, int64 [B + 1]; graphs may be empty.
        weight: Positive quadrature weight of each node in the encode sum, [B, N] or [N]; only
            ratios within a graph matter.
        scale: Factor s on the scores.

    Returns:
        Eigenvalues [B, H, M] in float64, descending. Values below about 1e-15 are rounding
        errors; at most N of a graph are larger, and all are 0 for a graph without nodes.

    Raises:
        ValueError: If shapes, dtypes, devices, ``ptr`` or ``weight`` do not fit, or a query or
            key is not finite.
    """
    return spectrum_of(*_flatten(query, key, ptr, weight), scale)


def spectrum_of(query: Tensor, key: Tensor, graphs: Graphs, scale: float) -> Tensor:
    """:func:`mixing_spectrum` on flat tensors, unchecked; query [B, H, M, D], key [N, H, D]."""
    eigenvalues = query.new_zeros(query.shape[:3], dtype=torch.float64)
    for graph, (start, stop) in enumerate(pairwise(graphs.layout.offsets)):
        log_weight = None if graphs.log_weight is None else graphs.log_weight[start:stop]
        gram = _gram(query[graph].double(), key[start:stop], log_weight, scale)
        eigenvalues[graph] = torch.linalg.eigvalsh(gram).flip(-1)
    return eigenvalues.clamp(0.0, 1.0)  # rounding errors lie outside


def _gram(query: Tensor, key: Tensor, log_weight: Tensor | None, scale: float) -> Tensor:
    """A^T A [H, M, M] of one graph; query [H, M, D], key [N, H, D], log_weight [N]."""
    heads, latents, channels = query.shape
    size = max(1, _CHUNK // (heads * max(latents, channels)))

    def scores() -> Iterator[tuple[Tensor, Tensor]]:
        for chunk in chunk_ranges(len(key), size):
            decode = scale * key[chunk].double().transpose(0, 1) @ query.mT  # [H, n, M]
            encode = decode if log_weight is None else decode + log_weight[chunk, None]
            yield encode, decode

    total = query.new_full((heads, 1, latents), -torch.inf)
    for encode, _ in scores():
        total = torch.logaddexp(total, encode.logsumexp(1, keepdim=True))
    gram = query.new_zeros(heads, latents, latents)
    for encode, decode in scores():
        root = (0.5 * (encode - total + decode.log_softmax(-1))).exp()
        gram.baddbmm_(root.mT, root)
    return gram


def effective_rank(eigenvalues: Tensor) -> Tensor:
    r"""Effective rank of spectra (Roy & Vetterli 2007, "The effective rank", EUSIPCO).

    .. math::
        \exp\Big(-\sum_i p_i \log p_i\Big), \qquad p_i = \lambda_i / \sum_j \lambda_j

    It is 1 if one eigenvalue is not zero, and M if M are equal. The paper takes singular values;
    for :func:`mixing_spectrum` they are the eigenvalues of the symmetric matrix similar to W.

    Args:
        eigenvalues: [..., M], in any order.

    Returns:
        Effective ranks [...], from 1 to M; 0 where all eigenvalues are 0.

    Raises:
        ValueError: If there are no eigenvalues, or they are negative or not finite.
    """
    if eigenvalues.dim() < 1 or not eigenvalues.shape[-1]:
        checks.fail("'eigenvalues'", "of shape [..., M], M >= 1", list(eigenvalues.shape))
    checks.check_finite(eigenvalues=eigenvalues)
    if bool((eigenvalues < 0).any()):
        checks.fail("'eigenvalues'", "not to be negative", float(eigenvalues.min()))
    total = eigenvalues.sum(-1, keepdim=True)
    share = eigenvalues / total.masked_fill(total == 0, 1.0)
    rank = torch.special.entr(share).sum(-1).exp()
    return rank.masked_fill(total.squeeze(-1) == 0, 0.0)


def attention_maps(
    query: Tensor,
    key: Tensor,
    *,
    ptr: Tensor | None = None,
    weight: Tensor | None = None,
    scale: float = 1.0,
) -> list[AttentionMaps]:
    r"""The softmax weights of both passes of :func:`flare_mesh.flare_attention`.

    ``decode @ (encode @ value)`` is the output of a head. The scale is applied, which the authors'
    ``return_scores`` omits in the scores and in the output. Memory O(N H M).

    Takes the arguments of :func:`mixing_spectrum`.

    Returns:
        Maps of each graph, in float32 (float64 for float64 input).

    Raises:
        ValueError: As :func:`mixing_spectrum`.
    """
    return maps_of(*_flatten(query, key, ptr, weight), scale)


def maps_of(query: Tensor, key: Tensor, graphs: Graphs, scale: float) -> list[AttentionMaps]:
    """:func:`attention_maps` on flat tensors, unchecked; query [B, H, M, D], key [N, H, D]."""
    query, key = query.to(sum_dtype(key)), wide(key)
    maps = []
    for graph, (start, stop) in enumerate(pairwise(graphs.layout.offsets)):
        scores = scale * query[graph] @ key[start:stop].permute(1, 2, 0)  # [H, M, N]
        decode = scores.mT.softmax(-1)
        if graphs.log_weight is not None:
            scores = scores + graphs.log_weight[start:stop].to(scores.dtype)
        maps.append(AttentionMaps(scores.softmax(-1), decode))
    return maps


def _flatten(
    query: Tensor, key: Tensor, ptr: Tensor | None, weight: Tensor | None
) -> tuple[Tensor, Tensor, Graphs]:
    """Checked queries [B, H, M, D] and keys [N, H, D] of either layout."""
    layout = checks.checked_layout(query, key, ptr, None, weight)
    checks.check_finite(query=query, key=key)
    if ptr is None:
        (key,) = flatten_nodes((key,), None)
    query = query.expand(layout.num_graphs, *query.shape[-3:])
    return query, key, Graphs(layout, log_weights(weight, None))
