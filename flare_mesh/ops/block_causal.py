"""FLARE attention over a series of meshes, in which a step sees itself and the earlier steps."""

from itertools import pairwise
from typing import Literal, overload

import torch
from torch import Tensor

from flare_mesh.ops import backends, checks
from flare_mesh.ops.attention import checked_input, flare_merge
from flare_mesh.ops.causal_flare import CausalState, given_state
from flare_mesh.ops.layout import Layout, equal_layout


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
    if query.dim() != 3 and not torch.compiler.is_compiling():
        checks.fail("'query'", "of shape [H, M, D]", list(query.shape))
    flat = checked_input(query, key, value, ptr, None, weight, scale, False)
    queries, _, _, steps, _ = flat
    if series is None:
        groups = equal_layout(1, steps.num_graphs, ptr.device)
    else:
        groups = checks.ragged_layout(series, steps.num_graphs, ptr.device)
    state = given_state(state, query, value, groups.num_graphs)
    encoded = backends.encode(*flat, scale=scale, backend=backend)
    latent, last = _running(*encoded, groups, state)
    out = backends.decode(queries, key, latent, steps, scale=scale, backend=backend)
    out = out.to(value.dtype)
    return (out, last) if return_state else out


def _running(
    latent: Tensor, total: Tensor, series: Layout, state: CausalState
) -> tuple[Tensor, CausalState]:
    """Latents of the steps so far, [S, H, M, D], and the state after the last ones."""
    last_total, last_latent = state.logsumexp.detach(), state.latent.detach()
    lengths = [stop - start for start, stop in pairwise(series.offsets)]
    so_far, order = [latent[:0]], list[int]()
    for place in range(max(lengths, default=0)):
        # The same step of all series that have it.
        which = [b for b, length in enumerate(lengths) if length > place]
        rows = [series.offsets[b] + place for b in which]
        z, sums = flare_merge(
            torch.stack([last_latent[which], latent[rows].double()]),
            torch.stack([last_total[which], total[rows].double()]),
        )
        index = torch.tensor(which, device=latent.device)
        last_latent = last_latent.index_copy(0, index, z)
        last_total = last_total.index_copy(0, index, sums)
        so_far.append(z.to(latent.dtype))
        order += rows
    places = torch.tensor(order, dtype=torch.int64, device=latent.device).argsort()
    return torch.cat(so_far)[places], CausalState(last_total.detach(), last_latent.detach())
