"""Linear attention of each node to the nodes before it."""

from collections.abc import Iterator
from importlib import import_module
from typing import Any, NamedTuple

import torch
from torch import Tensor

from flare_mesh.ops import backends, checks
from flare_mesh.ops.layout import Layout, equal_layout
from flare_mesh.ops.precision import wide
from flare_mesh.ops.register_operator import register_operator

_NORMALIZATIONS = ("keys", "position")
_BACKENDS = ("auto", "torch", "triton")
WIDEST = 128
"""Most channels of a head that the Triton kernels keep in registers."""
# Products q_t k_s at a time: they stay in the second or third level cache of a CPU, and on a GPU
# are enough to keep it busy.
_SCORES = {"cpu": 2**18, "cuda": 2**24}
_GROUP = 16  # states that are summed one after another


def causal_linear_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ptr: Tensor | None = None,
    *,
    normalize: str = "keys",
    chunk_size: int = 64,
    backend: str = "auto",
) -> Tensor:
    r"""Linear attention of each node to itself and those before it, in O(N H D E).

    .. math::
        y_t = \frac{\sum_{s \le t} (q_t \cdot k_s)\, v_s}{\sum_{s \le t} q_t \cdot k_s}
        \quad\text{("keys")} \qquad
        y_t = \frac1t \sum_{s \le t} (q_t \cdot k_s)\, v_s \quad\text{("position")}

    in each head, with t and s counted from 1 in each graph (arXiv 2006.16236, where queries and
    keys are :math:`\phi(q)` and :math:`\phi(k)` of a feature map). No result depends on a later
    node, nor on the number of nodes: the first rows of a longer sequence are those of the shorter.
    The comparison's code (vpuri3/FLARE.py, ``causal_linear``) divides by the length instead.

    Sums are in float32, or float64 for float64 input; any number of derivatives exists.

    Args:
        query: Features of the queries, [N, H, D]; not negative with ``normalize="keys"``, where a
            denominator of zero gives zero.
        key: Features of the keys, [N, H, D]; not negative with ``normalize="keys"``.
        value: [N, H, E].
        ptr: Offsets of the graphs, int64 [B + 1]; None for one graph.
        normalize: ``"keys"`` or ``"position"``, as above.
        chunk_size: Nodes that are multiplied with each other at a time in the backend ``"torch"``;
            the result does not depend on it.
        backend: ``"torch"``; or ``"triton"``, for at most 128 channels D and 128 E (127 with
            ``normalize="keys"``), tested in Triton's interpreter and not yet run on a GPU;
            ``"auto"`` takes the latter on a GPU on which it passes a comparison of values.

    Returns:
        [N, H, E] in the dtype of the values.

    Raises:
        ValueError: If a shape, dtype or option does not fit, or the backend cannot run here.
    """
    layout = _checked(query, key, value, ptr, normalize, chunk_size, backend)
    if backend == "auto":
        fits = max(query.shape[-1], value.shape[-1] + (normalize == "keys")) <= WIDEST
        fits = fits and backends.prefers_triton("causal_linear", query)
        backend = "triton" if fits else "torch"
    with torch.autocast(query.device.type, enabled=False):
        values = value
        if backend != "triton":  # whose kernels convert what they read
            query, key, values = wide(query), wide(key), wide(value)
        plan = _Plan(layout.ptr, None if backend == "triton" else chunk_size)
        if normalize == "keys":
            values = torch.cat([values, torch.ones_like(values[..., :1])], dim=-1)
        sums = _Sums.apply(query, key, values, plan, False)
        if normalize == "keys":
            sums, total = sums[..., :-1], sums[..., -1:]
            sums = sums / total.masked_fill(total == 0, 1.0)
        else:
            node, graph = _graph_of_nodes(layout.ptr, len(value))
            sums = sums / (node - layout.ptr[graph] + 1)[:, None, None]
    return sums.to(value.dtype)


@register_operator("(Tensor query, Tensor key, Tensor value, Tensor ptr, bool reverse) -> Tensor")
def _causal_sums(query, key, value, ptr, reverse):
    return import_module("flare_mesh.ops.triton_causal").sums(query, key, value, ptr, reverse)


@torch.library.register_fake(_causal_sums)
def _(query, key, value, ptr, reverse):
    return value.new_empty(value.shape, dtype=torch.float32)


class _Plan(NamedTuple):
    """Offsets of the graphs, and the length of the chunks; None for the Triton kernels."""

    ptr: Tensor
    chunk_size: int | None


class _Sums(torch.autograd.Function):
    """The sums of (q_t k_s) v_s over s <= t, or over s >= t if ``reverse``, [N, H, E].

    Each gradient is such a sum too.
    """

    @staticmethod
    def forward(
        ctx: Any, query: Tensor, key: Tensor, value: Tensor, plan: _Plan, reverse: bool
    ) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.plan, ctx.reverse = plan, reverse
        if plan.chunk_size is None:
            return torch.ops.flare_mesh.causal_sums(query, key, value, plan.ptr, reverse)
        return _chunked_sums(query, key, value, plan.ptr, plan.chunk_size, reverse)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:  # pyright: ignore
        query, key, value = ctx.saved_tensors
        plan, reverse = ctx.plan, ctx.reverse
        grad_query = _Sums.apply(grad, value, key, plan, reverse)
        grad_key = _Sums.apply(value, grad, query, plan, not reverse)
        grad_value = _Sums.apply(key, query, grad, plan, not reverse)
        grads = zip((grad_query, grad_key, grad_value), (query, key, value), strict=True)
        return *(grad.to(given.dtype) for grad, given in grads), None, None


def _chunked_sums(
    query: Tensor, key: Tensor, value: Tensor, ptr: Tensor, chunk_size: int, reverse: bool
) -> Tensor:
    """The sums, by the matrix of products within a chunk and the sums of the chunks before it."""
    nodes, graphs = len(query), len(ptr) - 1
    if nodes == 0:
        return value.new_zeros(value.shape)
    length = min(chunk_size, -(-nodes // graphs))  # at most 2 N rows, however small the graphs are
    counts = (ptr.diff() + length - 1) // length
    end = counts.cumsum(0)
    node, graph = _graph_of_nodes(ptr, nodes)
    row = ((end - counts) * length - ptr[:-1])[graph] + node
    # Upper bound for any graphs; unused chunks hold zeros.
    chunks = (nodes + graphs * (length - 1)) // length
    of_chunk = torch.searchsorted(end, torch.arange(chunks, device=ptr.device), right=True)

    def split(rows: Tensor) -> Tensor:
        blank = rows.new_zeros(chunks * length, *rows.shape[1:])
        filled = blank.index_copy(0, row, rows)
        return filled.unflatten(0, (chunks, length)).transpose(1, 2)  # [K, H, L, D]

    query, key, value = split(query), split(key), split(value)
    before = _sums_before(key.transpose(-1, -2) @ value, of_chunk, reverse)
    later = torch.ones(length, length, dtype=torch.bool, device=ptr.device)
    later = later.tril(-1) if reverse else later.triu(1)
    parts = []
    for piece in _pieces(query):
        scores = query[piece] @ key[piece].transpose(-1, -2)
        own = scores.masked_fill_(later, 0.0) @ value[piece]
        parts.append(own + query[piece] @ before[piece])
    return torch.cat(parts).transpose(1, 2).flatten(0, 1).index_select(0, row)


def _pieces(chunks: Tensor) -> Iterator[slice]:
    """Pieces of the chunks; all at once for torch's compiler, which knows no number of chunks."""
    if torch.compiler.is_compiling():
        yield slice(None)
        return
    _, heads, length, _ = chunks.shape
    step = max(1, _SCORES.get(chunks.device.type, 2**24) // max(heads * length**2, 1))
    for start in range(0, len(chunks), step):
        yield slice(start, start + step)


def _sums_before(states: Tensor, graph: Tensor, reverse: bool) -> Tensor:
    """Sums of the states [K, ...] of the chunks before each one in its graph, or after it."""
    if reverse:
        return _sums_before(states.flip(0), graph.flip(0), False).flip(0)
    _add_up(states, graph)
    before = _of_same(states[:-1], graph[:-1], graph[1:])
    return torch.cat([torch.zeros_like(states[:1]), before])


def _add_up(states: Tensor, graph: Tensor) -> None:
    """Add to each state, in place, those before it in its graph.

    First within groups of states, all groups at a time; then, in the same way, the sums of the
    groups. Other graphs are left out, not subtracted.
    """
    for place in range(1, min(_GROUP, len(states))):
        _add(states, graph, place, states[place - 1 :: _GROUP], graph[place - 1 :: _GROUP])
    if len(states) > _GROUP:
        ends, of_ends = states[_GROUP - 1 :: _GROUP].clone(), graph[_GROUP - 1 :: _GROUP]
        _add_up(ends, of_ends)
        for place in range(_GROUP, 2 * _GROUP):
            _add(states, graph, place, ends, of_ends)


def _add(states: Tensor, graph: Tensor, place: int, added: Tensor, of_added: Tensor) -> None:
    """Add to every _GROUP-th state from ``place`` on what belongs to its graph."""
    own, of_own = states[place::_GROUP], graph[place::_GROUP]
    own += _of_same(added[: len(own)], of_added[: len(own)], of_own)


def _of_same(states: Tensor, graph: Tensor, wanted: Tensor) -> Tensor:
    """The states [K, ...], with zeros for those of another graph than wanted."""
    same = (graph == wanted).view(-1, *[1] * (states.dim() - 1))
    return torch.where(same, states, 0.0)


def _graph_of_nodes(ptr: Tensor, nodes: int) -> tuple[Tensor, Tensor]:
    """Numbers of the nodes, and of the graph of each, [N]."""
    node = torch.arange(nodes, device=ptr.device)
    return node, torch.searchsorted(ptr, node, right=True) - 1


def _checked(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    ptr: Tensor | None,
    normalize: str,
    chunk_size: int,
    backend: str,
) -> Layout:
    for name, given, known in (
        ("normalize", normalize, _NORMALIZATIONS),
        ("backend", backend, _BACKENDS),
    ):
        if given not in known:
            checks.fail(f"'{name}'", f"to be one of {list(known)}", repr(given))
    if chunk_size < 1:
        checks.fail("'chunk_size'", "to be positive", chunk_size)
    if query.dim() != 3 or not query.is_floating_point():
        checks.fail(
            "'query'", "of shape [N, H, D] and a floating-point dtype",
            f"{query.dtype} {list(query.shape)}",
        )  # fmt: skip
    checks.check_same("query", query, key)
    checks.check_same("value", value, key)
    if key.shape != query.shape:
        checks.fail("'key'", f"of the shape of 'query', {list(query.shape)}", list(key.shape))
    if value.dim() != 3 or value.shape[:2] != query.shape[:2]:
        nodes, heads, _ = query.shape
        checks.fail("'value'", f"of shape [{nodes}, {heads}, E]", list(value.shape))
    if backend == "triton":
        backends.check_triton(query)
    if ptr is None:
        return equal_layout(1, len(query), query.device)
    return checks.ragged_layout(ptr, len(query), query.device)
