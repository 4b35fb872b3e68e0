"""Linear recurrences with a matrix as their state and one decay a head (state-space duality)."""

import torch
from torch import Tensor
from torch.nn.functional import pad

from flare_mesh.ops.precision import wide

_CHUNK = 64


def state_space_dense(
    x: Tensor,
    step: Tensor,
    rate: Tensor,
    key: Tensor,
    query: Tensor,
    initial: Tensor | None = None,
) -> Tensor:
    r"""Outputs of a state-space recurrence, by its matrix of decays (Mamba-2, arXiv 2405.21060).

    In each head,

    .. math::
        h_t = e^{\Delta_t a} h_{t-1} + \Delta_t x_t k_t^T, \quad y_t = h_t q_t
        \quad\Longleftrightarrow\quad
        y_t = e^{s_t} h_{-1} q_t + \sum_{r \le t} (q_t \cdot k_r) e^{s_t - s_r} \Delta_r x_r

    with :math:`s_t = a \sum_{r \le t} \Delta_r`. No exponent is positive, so that nothing
    overflows. Costs O(L^2) a head; :func:`state_space_scan` costs O(L), in L steps, and
    :func:`state_space_chunks` O(L), for long sequences.

    Args:
        x: Inputs, [B, L, H, P].
        step: Time steps, not negative, [B, L, H].
        rate: Rates a, not positive, [H].
        key: What the state stores, [B, L, G, S]; G divides H, and consecutive heads share a group.
        query: What is read from the state, [B, L, G, S].
        initial: State before the first step, [H, P, S]; None for zero.

    Returns:
        [B, L, H, P], in float32 or float64.
    """
    heads = step.shape[-1]
    with torch.autocast(x.device.type, enabled=False):
        x, step, rate, key, query = (wide(t) for t in (x, step, rate, key, query))
        log = (step * rate).cumsum(1).transpose(1, 2)
        later = torch.ones(2 * log.shape[-1:], dtype=torch.bool, device=x.device).triu(1)
        exponent = (log[..., :, None] - log[..., None, :]).masked_fill(later, -torch.inf)
        key, query = (_of_heads(t, heads) for t in (key, query))
        matrix = query @ key.transpose(-1, -2) * exponent.exp()
        y = matrix @ (x * step[..., None]).transpose(1, 2)
        if initial is not None:
            y = y + log.exp()[..., None] * (query @ wide(initial).transpose(-1, -2))
        return y.transpose(1, 2)


def state_space_chunks(
    x: Tensor,
    step: Tensor,
    rate: Tensor,
    key: Tensor,
    query: Tensor,
    initial: Tensor | None = None,
) -> Tensor:
    """Outputs of the recurrence of :func:`state_space_dense`, in chunks of 64 positions.

    Each chunk by its matrix of decays; the states before the chunks follow from the inputs of all
    chunks by the matrix of the decays between them.
    """
    batch, length = step.shape[:2]
    number = -(-length // _CHUNK)
    with torch.autocast(x.device.type, enabled=False):
        x, step, rate, key, query = (wide(t) for t in (x, step, rate, key, query))
        # Positions after the last have no step: they neither decay the state nor add to it.
        missing = number * _CHUNK - length
        x, step, key, query = (
            pad(t, (*[0, 0] * (t.dim() - 2), 0, missing)).unflatten(1, (number, _CHUNK))
            for t in (x, step, key, query)
        )
        flat = [t.flatten(0, 1) for t in (x, step, key, query)]
        within = state_space_dense(flat[0], flat[1], rate, flat[2], flat[3])
        heads = step.shape[-1]
        repeats = heads // key.shape[-2]
        key, query = (t.repeat_interleave(repeats, dim=-2) for t in (key, query))  # [B, K, T, H, S]
        log = (step * rate).cumsum(2)
        to_end = (log[:, :, -1:] - log).exp() * step
        added = torch.einsum("bcthp,bcths->bchps", x * to_end[..., None], key)
        total = log[:, :, -1].cumsum(1).transpose(1, 2)  # [B, H, K]
        before = total - log[:, :, -1].transpose(1, 2)
        earlier = torch.ones(number, number, dtype=torch.bool, device=x.device).tril(-1)
        exponent = before[..., :, None] - total[..., None, :]
        decay = exponent.masked_fill(~earlier, -torch.inf).exp()
        state = torch.einsum("bhck,bkhps->bchps", decay, added)
        if initial is not None:
            state = state + before.exp().transpose(1, 2)[..., None, None] * wide(initial)
        across = torch.einsum("bchps,bcths->bcthp", state, query) * log.exp()[..., None]
        return (within.unflatten(0, (batch, number)) + across).flatten(1, 2)[:, :length]


def state_space_scan(
    x: Tensor,
    step: Tensor,
    rate: Tensor,
    key: Tensor,
    query: Tensor,
    initial: Tensor | None = None,
) -> Tensor:
    """Outputs of the recurrence of :func:`state_space_dense`, state after state."""
    batch, length, heads, width = x.shape
    with torch.autocast(x.device.type, enabled=False):
        x, step, rate, key, query = (wide(t) for t in (x, step, rate, key, query))
        key, query = (_of_heads(t, heads) for t in (key, query))
        state = x.new_zeros(batch, heads, width, key.shape[-1])
        if initial is not None:
            state = state + wide(initial)
        decay = (step * rate).exp()[..., None, None]
        x = x * step[..., None]
        outputs = []
        for t in range(length):
            state = decay[:, t] * state + x[:, t, :, :, None] * key[:, :, t, None, :]
            outputs.append((state * query[:, :, t, None, :]).sum(-1))
        return torch.stack(outputs, 1)


def _of_heads(groups: Tensor, heads: int) -> Tensor:
    """[B, L, G, S] of groups to [B, H, L, S] of heads."""
    groups = groups.transpose(1, 2)
    return groups.repeat_interleave(heads // groups.shape[1], dim=1)
