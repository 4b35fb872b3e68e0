"""FLARE attention in which a token sees only itself and the tokens before it."""

from itertools import pairwise
from typing import Literal, NamedTuple, overload

import torch
from torch import Tensor

from flare_mesh.ops import backends, causal_reference, checks
from flare_mesh.ops.causal_operator import TRITON_WIDEST, Causal
from flare_mesh.ops.layout import Layout, flatten_nodes, unflatten

BACKENDS = ("auto", "reference", "numba", "triton")


class CausalState(NamedTuple):
    """What :func:`flare_causal_attention` keeps of the tokens so far; its size does not grow.

    Attributes:
        logsumexp: Log-sum-exp of each latent's scores, float64 [B, H, M]; -inf before the first
            token.
        latent: Latents Z, float64 [B, H, M, E]. In float32 the errors of 100,000 updates would
            add up to 6e-4.
    """

    logsumexp: Tensor
    latent: Tensor

    @classmethod
    def empty(cls, query: Tensor, value: Tensor, sequences: int) -> "CausalState":
        """State before the first token, for latent queries [.., H, M, D] and values [.., E]."""
        shape = (sequences, *query.shape[-3:-1])
        latent = value.new_zeros(*shape, value.shape[-1], dtype=torch.float64)
        return cls(latent.new_full(shape, -torch.inf), latent)


@overload
def flare_causal_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    ptr: Tensor | None = None,
    mask: Tensor | None = None,
    decode_query: Tensor | None = None,
    decode_key: Tensor | None = None,
    scale: float = 1.0,
    chunk_size: int = 32,
    state: CausalState | None = None,
    return_state: Literal[False] = False,
    backend: str = "auto",
) -> Tensor: ...


@overload
def flare_causal_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    ptr: Tensor | None = None,
    mask: Tensor | None = None,
    decode_query: Tensor | None = None,
    decode_key: Tensor | None = None,
    scale: float = 1.0,
    chunk_size: int = 32,
    state: CausalState | None = None,
    return_state: Literal[True],
    backend: str = "auto",
) -> tuple[Tensor, CausalState]: ...


def flare_causal_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    *,
    ptr: Tensor | None = None,
    mask: Tensor | None = None,
    decode_query: Tensor | None = None,
    decode_key: Tensor | None = None,
    scale: float = 1.0,
    chunk_size: int = 32,
    state: CausalState | None = None,
    return_state: bool = False,
    backend: str = "auto",
) -> Tensor | tuple[Tensor, CausalState]:
    r"""FLARE over the tokens so far, in O(N M) (causal form of arXiv 2508.12594).

    .. math::
        L_{mt} = \log \sum_{\tau \le t} e^{s\, q_m \cdot k_\tau}, \qquad
        Z_{mt} = \sum_{\tau \le t} e^{s\, q_m \cdot k_\tau - L_{mt}}\, v_\tau, \qquad
        y_t = \sum_m \mathrm{softmax}_m(s\, k_t \cdot q_m)\, Z_{mt}

    in each head: the output of token t is that of :func:`flare_mesh.flare_attention` on the tokens
    up to t. With ``decode_query`` :math:`r_t` and ``decode_key`` :math:`u_m` the scores of the
    softmax over m are :math:`s\, r_t \cdot u_m`.

    Tokens that come later, one or many at a time, continue from the state that
    ``return_state=True`` gives: the outputs are those of all tokens in one call. No gradient
    passes through a state.

    Args:
        query: Latent queries, [H, M, D] shared by the sequences, or [B, H, M, D].
        key: [B, H, N, D], or [N, H, D] with ``ptr``.
        value: As ``key``, of any width E.
        ptr: Offsets of the sequences in a flat batch, int64 [B + 1], from 0 to N.
        mask: Valid tokens of dense input, [B, N], True = valid. A masked token changes no state
            and has the output 0.
        decode_query: Queries r of the tokens, as ``key``, of any width F; with ``decode_key``.
        decode_key: Keys u of the latents, [H, M, F], or [B, H, M, F].
        scale: Factor s on all scores.
        chunk_size: Tokens at a time in the backend ``"reference"``; no result depends on it.
        state: State of each sequence after earlier tokens.
        return_state: Whether to return the state after the last tokens too.
        backend: ``"reference"``, on any device; ``"numba"``, on the CPU; ``"triton"``, on a GPU,
            for heads of at most 64 channels and at most float32. ``"auto"`` takes the second on a
            CPU that loops can be compiled for, and the third where it can and passes a comparison
            of values.

    Returns:
        Outputs with the shape and dtype of ``value``, or the outputs and the state.

    Raises:
        ValueError: If shapes, dtypes, devices, ``ptr`` or ``mask`` do not fit, or the backend is
            unknown. Compiled code skips these checks.
    """
    layout = checks.checked_layout(query, key, ptr, mask, None)
    if not torch.compiler.is_compiling():
        _check(key, value, decode_query, decode_key, layout, scale, chunk_size, backend)
    tokens = (key, value) if decode_query is None else (key, value, decode_query)
    if ptr is None:
        tokens = flatten_nodes(tokens, mask)
    flat_key, flat_value, *reads = tokens
    out, new = attend_causally(
        query, flat_key, flat_value, reads[0] if reads else None, decode_key, mask, layout,
        scale=scale, chunk_size=chunk_size, state=state, backend=backend,
    )  # fmt: skip
    if ptr is None:
        out = unflatten(out, key.shape[0], key.shape[2])
    return (out, new) if return_state else out


def attend_causally(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    decode_query: Tensor | None,
    decode_key: Tensor | None,
    mask: Tensor | None,
    layout: Layout,
    *,
    scale: float,
    chunk_size: int = 32,
    state: CausalState | None = None,
    backend: str = "auto",
) -> tuple[Tensor, CausalState]:
    """:func:`flare_causal_attention` on flat tokens; only the state is checked."""
    state = given_state(state, query, value, layout.num_graphs)
    latents = [None if t is None else t[None] if t.dim() == 3 else t for t in (query, decode_key)]
    arguments = (
        latents[0], key, value, decode_query, latents[1],
        None if mask is None else mask.flatten(), layout.ptr,
        state.logsumexp.detach(), state.latent.detach(), float(scale),
    )  # fmt: skip
    if backend == "auto":
        backend = _automatic(key, value, decode_query)
    with torch.autocast(key.device.type, enabled=False):
        if backend != "reference":
            # The backward pass starts from states of the past.
            differentiable = any(t is not None and t.requires_grad for t in arguments[:5])
            store = differentiable and torch.is_grad_enabled()
            out, *new = Causal.apply(*arguments, store, backend)
        else:
            # The offsets have been read for the checks.
            length = max((b - a for a, b in pairwise(layout.offsets)), default=0)
            out, *new = causal_reference.causal(*arguments, chunk_size, length)  # pyright: ignore[reportArgumentType]
    return out.to(value.dtype), CausalState(*(t.detach() for t in new))


def _automatic(key: Tensor, value: Tensor, decode_query: Tensor | None) -> str:
    """The backend that ``"auto"`` takes."""
    if key.device.type == "cpu":
        return "numba" if backends.choose("auto", key) == "numba" else "reference"
    widths = [t.shape[-1] for t in (key, value, decode_query) if t is not None]
    fits = max(widths) <= TRITON_WIDEST and backends.prefers_triton("causal_flare", key)
    return "triton" if fits else "reference"


def _check(
    key: Tensor,
    value: Tensor,
    decode_query: Tensor | None,
    decode_key: Tensor | None,
    layout: Layout,
    scale: float,
    chunk_size: int,
    backend: str,
) -> None:
    checks.check_scale(scale)
    if backend not in BACKENDS:
        raise ValueError(f"unknown backend '{backend}'; choose from {list(BACKENDS)}")
    if backend in ("numba", "triton"):
        backends.choose(backend, key)
    if chunk_size < 1:
        checks.fail("'chunk_size'", "of at least 1", chunk_size)
    for name, tensor in (("value", value), ("decode_query", decode_query)):
        if tensor is None:
            continue
        checks.check_same(name, tensor, key)
        if tensor.dim() != key.dim() or tensor.shape[:-1] != key.shape[:-1]:
            rows = ", ".join(map(str, key.shape[:-1]))
            checks.fail(f"'{name}'", f"of shape [{rows}, channels]", list(tensor.shape))
    if (decode_query is None) != (decode_key is None):
        raise ValueError("flare_mesh: expected both 'decode_query' and 'decode_key', or neither")
    if decode_query is not None and decode_key is not None:
        checks.check_same("decode_key", decode_key, key)
        checks.check_latents("decode_key", decode_key, decode_query, layout.num_graphs, shared=True)


def given_state(
    state: CausalState | None, query: Tensor, value: Tensor, sequences: int
) -> CausalState:
    """The state, after a check of its shapes, dtype and device; an empty one for None."""
    expected = CausalState.empty(query, value, sequences)
    if state is None:
        return expected
    if torch.compiler.is_compiling():
        return state
    for name, got, like in zip(CausalState._fields, state, expected, strict=True):
        if got.shape != like.shape or got.dtype != like.dtype or got.device != like.device:
            checks.fail(
                f"'state.{name}'",
                f"{like.dtype} of shape {list(like.shape)} on {like.device}",
                f"{got.dtype} {list(got.shape)} on {got.device}",
            )
    return state
