"""Causal FLARE chunk by chunk in plain PyTorch, on any device."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from flare_mesh.ops.precision import wide

_NONE = -1e30  # log-sum-exp of no token: finite, so that no gradient is NaN


class _Sequences(NamedTuple):
    """Tokens of sequences padded to one length, [B, H, T, ..], and which of them are valid."""

    key: Tensor
    value: Tensor
    decode_query: Tensor | None
    valid: Tensor


def causal(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    decode_query: Tensor | None,
    decode_key: Tensor | None,
    valid: Tensor | None,
    ptr: Tensor,
    lse: Tensor,
    latent: Tensor,
    scale: float,
    chunk_size: int,
    length: int,
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs [N, H, E] and the state after the last tokens; shapes as in ``numba_causal``.

    ``length`` is that of the longest sequence.

    In a chunk the weights of all pairs of tokens are formed from differences that are at most 0, so
    that no exponential overflows. Only the states between chunks are kept for the gradient.
    """
    query, key, value = wide(query), wide(key), wide(value)
    if decode_query is not None and decode_key is not None:
        decode_query, decode_key = wide(decode_query), wide(decode_key)
    tokens = torch.arange(len(key), device=key.device)
    sequence = torch.searchsorted(ptr, tokens, right=True) - 1
    place = tokens - ptr[sequence]

    def pad(rows: Tensor) -> Tensor:
        blank = rows.new_zeros(len(ptr) - 1, length, *rows.shape[1:])
        return blank.index_put((sequence, place), rows)

    is_valid = torch.ones_like(tokens, dtype=torch.bool) if valid is None else valid
    padded = _Sequences(
        pad(key).transpose(1, 2),
        pad(value).transpose(1, 2),
        None if decode_query is None else pad(decode_query).transpose(1, 2),
        pad(is_valid)[:, None, :, None],
    )
    lse = torch.where(torch.isfinite(lse), lse, _NONE)
    outputs = [value.new_zeros(len(ptr) - 1, value.shape[1], 0, value.shape[2])]
    for start in range(0, length, chunk_size):
        now = slice(start, start + chunk_size)
        part = _Sequences(
            padded.key[:, :, now],
            padded.value[:, :, now],
            None if padded.decode_query is None else padded.decode_query[:, :, now],
            padded.valid[:, :, now],
        )
        out, lse, latent = checkpoint(
            _chunk, query, decode_key, part, lse, latent, scale, use_reentrant=False
        )
        outputs.append(out)
    found = torch.cat(outputs, dim=2).transpose(1, 2)[sequence, place]
    return found, torch.where(lse > 0.5 * _NONE, lse, -torch.inf), latent


def _chunk(
    query: Tensor,
    decode_key: Tensor | None,
    part: _Sequences,
    lse: Tensor,
    latent: Tensor,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs [B, H, T, E] of a chunk, and the state after it."""
    key, value, decode_query, valid = part
    size, state_dtype = key.shape[2], lse.dtype
    score = scale * key @ query.transpose(-1, -2)  # [B, H, T, M]
    read = score
    if decode_query is not None:
        assert decode_key is not None
        read = scale * decode_query @ decode_key.transpose(-1, -2)
    share = torch.softmax(read, dim=-1)
    score = torch.where(valid, score, _NONE)
    value = torch.where(valid, value, 0.0)
    until = torch.logaddexp(lse[:, :, None], torch.logcumsumexp(score.to(state_dtype), dim=2))
    past = torch.ones(size, size, dtype=torch.bool, device=key.device).tril()
    # Weight of token s in the latents after token t, [B, H, T, S, M].
    weight = (score[:, :, None] - until[:, :, :, None]).masked_fill(~past[..., None], -torch.inf)
    pairs = torch.einsum("bhtm,bhtsm->bhts", share, weight.exp().to(share.dtype))
    kept = (lse[:, :, None] - until).exp().to(share.dtype)
    out = pairs @ value + (share * kept) @ latent.to(value.dtype)
    last = until[:, :, -1]
    added = (score - last[:, :, None]).exp().transpose(-1, -2) @ value.to(state_dtype)
    return torch.where(valid, out, 0.0), last, (lse - last).exp()[..., None] * latent + added
