"""The FLARE mixer and its two halves, encode and decode, with any backend."""

import torch
from torch import Tensor

from flare_mesh.ops import backends, checks
from flare_mesh.ops.layout import Layout, flatten_nodes, log_weights, unflatten


def flare_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    ptr: Tensor | None = None,
    mask: Tensor | None = None,
    weight: Tensor | None = None,
    scale: float = 1.0,
    backend: str = "auto",
    check_finite: bool = False,
) -> Tensor:
    r"""Mix N nodes through M latents in O(N M) (FLARE, arXiv 2508.12594).

    .. math::
        Z = \mathrm{softmax}_N(s\, Q K^T + \log w)\, V, \qquad
        Y = \mathrm{softmax}_M(s\, K Q^T)\, Z

    Two layouts: dense tensors with a batch dimension (and a mask if graphs are padded), or flat
    PyG batches of graphs of any size with their offsets ``ptr``. A graph's result depends neither
    on the other graphs nor on padding.

    Args:
        query: Latent queries, [H, M, D] shared by the graphs, or [B, H, M, D].
        key: [B, H, N, D], or [N, H, D] with ``ptr``.
        value: Same shape as ``key``.
        ptr: Offsets of the graphs in a flat batch, int64 [B + 1], from 0 to N; graphs may be
            empty.
        mask: Valid nodes of dense input, [B, N], True = valid. Masked rows of the output are 0.
        weight: Positive quadrature weight w of each node (its area or volume), [B, N] or [N]; None
            for equal weights.
        scale: Factor s on the scores of both halves.
        backend: ``"reference"``, ``"sdpa"``, ``"numba"`` (CPU), ``"triton"`` (GPU), or
            ``"auto"``: on the CPU ``"numba"``, but ``"sdpa"`` for a single graph of few nodes
            and where loops cannot be compiled; on a GPU ``"triton"`` where its kernels pass a
            comparison of values, otherwise ``"sdpa"``.
        check_finite: Whether to reject NaN and infinite values at valid nodes.

    Returns:
        Mixed values, with the shape and dtype of ``value``. Softmax and sums of float16 and
        bfloat16 are in float32.

    Raises:
        ValueError: If shapes, dtypes, devices, ``ptr``, ``mask`` or ``weight`` do not fit, or the
            backend is unknown. Compiled code skips these checks.
    """
    flat = checked_input(query, key, value, ptr, mask, weight, scale, check_finite)
    mixed = backends.mix(*flat, scale=scale, backend=backend)
    return _like_input(mixed, ptr, mask, key)


def flare_encode(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    ptr: Tensor | None = None,
    mask: Tensor | None = None,
    weight: Tensor | None = None,
    scale: float = 1.0,
    backend: str = "auto",
    check_finite: bool = False,
) -> tuple[Tensor, Tensor]:
    r"""First half of :func:`flare_attention`: from the nodes to the latents.

    .. math::
        S = s\, Q K^T + \log w, \qquad Z = \mathrm{softmax}_N(S)\, V, \qquad
        L = \mathrm{logsumexp}_N(S)

    :func:`flare_merge` merges encodings of parts of a graph, chunks or shards, exactly. The
    arguments are as in :func:`flare_attention`; the backend ``"sdpa"`` needs another pass over
    the keys for L.

    Returns:
        Z [B, H, M, D] and L [B, H, M], in float32 (float64 for float64 input), both
        differentiable. A graph without nodes has Z = 0 and L = -inf.

    Raises:
        ValueError: As :func:`flare_attention`.
    """
    flat = checked_input(query, key, value, ptr, mask, weight, scale, check_finite)
    return backends.encode(*flat, scale=scale, backend=backend)


def flare_decode(
    query: Tensor,
    key: Tensor,
    latent: Tensor,
    *,
    ptr: Tensor | None = None,
    mask: Tensor | None = None,
    scale: float = 1.0,
    backend: str = "auto",
    check_finite: bool = False,
) -> Tensor:
    r"""Second half of :func:`flare_attention`: from the latents to the nodes.

    .. math::
        Y = \mathrm{softmax}_M(s\, K Q^T)\, Z

    The nodes need not be the encoded ones: keys of other points of the same graphs evaluate the
    field at these points.

    Args:
        query: Latent queries, [H, M, D] or [B, H, M, D].
        key: [B, H, N, D], or [N, H, D] with ``ptr``.
        latent: Z, [B, H, M, D].
        ptr: Offsets of the graphs, int64 [B + 1].
        mask: Valid nodes of dense input, [B, N]; other rows of the output are 0.
        scale: Factor s on the scores.
        backend: As in :func:`flare_attention`.
        check_finite: As in :func:`flare_attention`.

    Returns:
        Values at the nodes, with the shape and dtype of ``key``.

    Raises:
        ValueError: As :func:`flare_attention`.
    """
    layout = checks.checked_layout(query, key, ptr, mask, None)
    if not torch.compiler.is_compiling():
        checks.check_scale(scale)
        checks.check_latents("latent", latent, key, layout.num_graphs)
        if not latent.is_floating_point() or latent.device != key.device:
            checks.fail("'latent'", f"of a floating-point dtype on {key.device}",
                        f"{latent.dtype} on {latent.device}")  # fmt: skip
        if latent.shape[-2] != query.shape[-2]:
            checks.fail("'latent'", f"to hold the {query.shape[-2]} latents of 'query'",
                        list(latent.shape))  # fmt: skip
    flat_key = key if ptr is not None else flatten_nodes((key,), mask)[0]
    if check_finite and not torch.compiler.is_compiling():
        checks.check_finite(query=query, key=flat_key, latent=latent)
    query = query.expand(layout.num_graphs, *query.shape[-3:])
    mixed = backends.decode(query, flat_key, latent, layout, scale=scale, backend=backend)
    return _like_input(mixed, ptr, mask, key)


def flare_merge(latents: Tensor, logsumexps: Tensor, dim: int = 0) -> tuple[Tensor, Tensor]:
    r"""Merge encodings of parts of the same graphs, exactly.

    .. math::
        L = \mathrm{logsumexp}_r L_r, \qquad Z = \sum_r e^{L_r - L} Z_r

    Args:
        latents: Z_r of the R parts, [R, B, H, M, D], from :func:`flare_encode`.
        logsumexps: L_r, [R, B, H, M].
        dim: Dimension of the parts.

    Returns:
        Z [B, H, M, D] and L [B, H, M]. Parts without nodes (L = -inf) do not contribute.
    """
    if latents.shape[:-1] != logsumexps.shape:
        checks.fail("'logsumexps'", f"of shape {list(latents.shape[:-1])}", list(logsumexps.shape))
    total = torch.logsumexp(logsumexps, dim=dim)
    # Where all parts are empty, -inf - (-inf) must give a share of 0 and not NaN.
    finite = total.masked_fill(total == -torch.inf, 0.0)
    share = (logsumexps - finite.unsqueeze(dim)).exp()
    return (share.unsqueeze(-1) * latents).sum(dim), total


def checked_input(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ptr: Tensor | None,
    mask: Tensor | None,
    weight: Tensor | None,
    scale: float,
    check_finite: bool,
) -> tuple[Tensor, Tensor, Tensor, Layout, Tensor | None]:
    """Checked input of the backends: query, key, value, layout and log weights."""
    layout = checks.checked_layout(query, key, ptr, mask, weight)
    checking = not torch.compiler.is_compiling()
    if checking:
        checks.check_scale(scale)
        if value.shape != key.shape:
            checks.fail("'value'", f"of the shape of 'key', {list(key.shape)}", list(value.shape))
        checks.check_same("value", value, key)
    if ptr is None:
        key, value = flatten_nodes((key, value), mask)
    if check_finite and checking:
        checks.check_finite(query=query, key=key, value=value)
    query = query.expand(layout.num_graphs, *query.shape[-3:])
    return query, key, value, layout, log_weights(weight, mask)


def _like_input(mixed: Tensor, ptr: Tensor | None, mask: Tensor | None, key: Tensor) -> Tensor:
    if ptr is not None:
        return mixed
    mixed = unflatten(mixed, key.shape[0], key.shape[2])
    return mixed if mask is None else mixed.masked_fill(~mask[:, None, :, None], 0.0)
