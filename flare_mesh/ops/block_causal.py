"""FLARE attention over a series of meshes, in which a step sees itself and the earlier steps."""

from typing import Literal, overload

import torch
from torch import Tensor

from flare_mesh.ops import backends, checks
from flare_mesh.ops.attention import flare_merge
from flare_mesh.ops.causal_flare import CausalState, check_state
from flare_mesh.ops.layout import Layout, log_weights


@overload
def flare_block_causal_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    ptr: Tensor,
    series: Tensor | None = None,
    weight: Tensor | None = None,
    scale: float = 1.0,
    state: CausalState | None = None,
    return_state: Literal[False] = False,
    backend: str = "auto",
) -> Tensor: ...


@overload
def flare_block_causal_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    ptr: Tensor,
    series: Tensor | None = None,
    weight: Tensor | None = None,
    scale: float = 1.0,
    state: CausalState | None = None,
    return_state: Literal[True],
    backend: str = "auto",
) -> tuple[Tensor, CausalState]: ...


def flare_block_causal_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    ptr: Tensor,
    series: Tensor | None = None,
    weight: Tensor | None = None,
    scale: float = 1.0,
    state: CausalState | None = None,
    return_state: bool = False,
    backend: str = "auto",
) -> Tensor | tuple[Tensor, CausalState]:
    r"""FLARE in which each node sees all nodes of its own and of the earlier steps of its series.

    .. math::
        L_{mb} = \log \sum_{c \le b} e^{L^c_m}, \qquad
        Z_{mb} = \sum_{c \le b} e^{L^c_m - L_{mb}}\, Z^c_m, \qquad
        y_n = \mathrm{softmax}_m(s\, k_n \cdot q_m)\, Z_{m b(n)}

    with the log-sum-exps L^c and latents Z^c of :func:`flare_mesh.flare_encode` of step c. One step
    is :func:`flare_mesh.flare_attention`; steps of one node each are
    :func:`flare_mesh.flare_causal_attention`. The steps may have different meshes. The cost is that
    of the encodes and decodes, O(N M).

    Args:
        query: Latent queries, [H, M, D].
        key: [N, H, D], the nodes of all steps of all series, one after another.
        value: As ``key``.
        ptr: Offsets of the steps, int64 [S + 1], from 0 to N.
        series: Offsets of the series in the steps, int64 [B + 1], from 0 to S; None for one series.
        weight: Positive quadrature weight of each node, [N].
        scale: Factor s on the scores.
        state: State of each series after earlier steps, from ``return_state=True``. No gradient
            passes through it.
        return_state: Whether to return the state after the last steps too.
        backend: As in :func:`flare_mesh.flare_attention`.

    Returns:
        [N, H, D] in the dtype of ``value``, or that and the state.

    Raises:
        ValueError: If a shape, dtype or offset does not fit.
    """
    steps = checks.checked_layout(query, key, ptr, None, weight)
    if not torch.compiler.is_compiling():
        checks.check_scale(scale)
        if value.shape != key.shape:
            checks.fail("'value'", f"of the shape of 'key', {list(key.shape)}", list(value.shape))
        checks.check_same("value", value, key)
        if query.dim() != 3:
            checks.fail("'query'", "of shape [H, M, D]", list(query.shape))
    groups = _series(series, steps)
    if state is None:
        state = CausalState.empty(query, value, groups.num_graphs)
    elif not torch.compiler.is_compiling():
        check_state(state, query, value, groups.num_graphs)
    queries = query.expand(steps.num_graphs, *query.shape)
    bias = log_weights(weight, None)
    latent, total = backends.encode(queries, key, value, steps, bias, scale=scale, backend=backend)
    latent, total, *last = _running(latent, total, groups, state)
    out = backends.decode(queries, key, latent, steps, scale=scale, backend=backend)
    out = out.to(value.dtype)
    return (out, CausalState(*(t.detach() for t in last))) if return_state else out


def _series(series: Tensor | None, steps: Layout) -> Layout:
    if series is not None:
        return checks.ragged_layout(series, steps.num_graphs, steps.ptr.device)
    return Layout(steps.ptr.new_tensor([0, steps.num_graphs]), offsets=[0, steps.num_graphs])


def _running(
    latent: Tensor, total: Tensor, series: Layout, state: CausalState
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Latents and log-sum-exps of the steps so far, [S, H, M, ..], and those after the last."""
    order, latents, totals = [], [], []
    last_total, last_latent = list(state.logsumexp.unbind()), list(state.latent.unbind())
    lengths = [
        stop - start for start, stop in zip(series.offsets, series.offsets[1:], strict=False)
    ]
    for place in range(max(lengths, default=0)):
        # The same step of all series that have it.
        which = [b for b, length in enumerate(lengths) if length > place]
        rows = [series.offsets[b] + place for b in which]
        z, sums = flare_merge(
            torch.stack([torch.stack([last_latent[b] for b in which]), latent[rows].double()]),
            torch.stack([torch.stack([last_total[b] for b in which]), total[rows].double()]),
        )
        for b, new_total, new_latent in zip(which, sums, z, strict=True):
            last_total[b], last_latent[b] = new_total, new_latent
        order += rows
        latents.append(z.to(latent.dtype))
        totals.append(sums.to(total.dtype))
    if not latents:
        return latent, total, state.logsumexp, state.latent
    places = torch.tensor(order, device=latent.device).argsort()
    last = torch.stack(last_total), torch.stack(last_latent)
    return torch.cat(latents)[places], torch.cat(totals)[places], *last
