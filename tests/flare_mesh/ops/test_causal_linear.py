from itertools import pairwise

import pytest
import torch

from flare_mesh.ops import causal_linear, causal_linear_attention

F64 = torch.float64
PTR = torch.tensor([0, 3, 3, 11, 12])


def inputs(nodes=12, heads=2, dim=3, width=4, dtype=F64):
    generator = torch.Generator().manual_seed(0)
    shapes = (dim, dim, width)
    q, k, v = (
        torch.randn(nodes, heads, d, generator=generator, dtype=F64).to(dtype) for d in shapes
    )
    return [t.detach().requires_grad_() for t in (q.abs(), k.abs(), v)]


def by_matrix(query, key, value, ptr, normalize):
    """The N x N matrix of each graph, with an explicit mask of what comes later."""
    parts = [value[:0].double()]
    for start, end in pairwise(ptr.tolist()):
        q, k, v = (t[start:end].double() for t in (query, key, value))
        past = torch.ones(end - start, end - start, dtype=F64).tril()
        scores = torch.einsum("thd,shd->hts", q, k) * past
        total = scores.sum(-1, keepdim=True) if normalize == "keys" else past.sum(-1)[:, None]
        parts.append(torch.einsum("hts,she->the", scores / total, v))
    return torch.cat(parts)


@pytest.mark.parametrize("chunk_size", [1, 2, 5, 128])
@pytest.mark.parametrize("normalize", ["keys", "position"])
def test_values_and_gradients_are_those_of_the_masked_matrix(normalize, chunk_size):
    given = inputs()
    ours = causal_linear_attention(*given, PTR, normalize=normalize, chunk_size=chunk_size)
    matrix = by_matrix(*given, PTR, normalize)
    torch.testing.assert_close(ours, matrix, rtol=1e-12, atol=1e-12)
    factor = torch.randn(matrix.shape, generator=torch.Generator().manual_seed(1), dtype=F64)
    grads = [torch.autograd.grad((out * factor).sum(), given) for out in (ours, matrix)]
    torch.testing.assert_close(*grads, rtol=1e-11, atol=1e-12)


def test_many_chunks(monkeypatch):
    monkeypatch.setattr(causal_linear, "_GROUP", 3)
    monkeypatch.setattr(causal_linear, "_SCORES", {"cpu": 20})
    given, ptr = inputs(47), torch.tensor([0, 13, 47])
    ours = causal_linear_attention(*given, ptr, chunk_size=2)
    matrix = by_matrix(*given, ptr, "keys")
    torch.testing.assert_close(ours, matrix, rtol=1e-12, atol=1e-12)
    grads = [torch.autograd.grad(out.square().sum(), given) for out in (ours, matrix)]
    torch.testing.assert_close(*grads, rtol=1e-11, atol=1e-12)


def test_second_derivatives():
    given = inputs(4, 1, 2, 1)
    ptr = torch.tensor([0, 1, 4])

    def attend(*tensors):
        return causal_linear_attention(*tensors, ptr, chunk_size=2)

    assert torch.autograd.gradcheck(attend, given)
    assert torch.autograd.gradgradcheck(attend, given)


@pytest.mark.parametrize("normalize", ["keys", "position"])
def test_the_first_rows_do_not_depend_on_the_length(normalize):
    given = inputs()
    whole = causal_linear_attention(*given, normalize=normalize, chunk_size=4)
    start = causal_linear_attention(*(t[:7] for t in given), normalize=normalize)
    torch.testing.assert_close(whole[:7], start, rtol=1e-12, atol=1e-12)


def test_nothing_of_a_graph_reaches_another():
    given = inputs()
    clean = causal_linear_attention(*given, PTR, chunk_size=2)
    broken = [t.detach().clone().requires_grad_() for t in given]
    with torch.no_grad():
        for tensor in broken:
            tensor[3:11] = torch.nan
    out = causal_linear_attention(*broken, PTR, chunk_size=2)
    alone = torch.tensor([True] * 3 + [False] * 8 + [True])
    assert out[~alone].isnan().all()
    torch.testing.assert_close(out[alone], clean[alone], rtol=0.0, atol=0.0)
    expected = torch.autograd.grad(clean[alone].sum(), given)
    for got, want in zip(torch.autograd.grad(out[alone].sum(), broken), expected, strict=True):
        torch.testing.assert_close(got[alone], want[alone])


def test_no_nodes_and_features_of_zero():
    empty = [t[:0].detach().requires_grad_() for t in inputs()]
    out = causal_linear_attention(*empty, torch.tensor([0, 0, 0]))
    assert out.shape == (0, 2, 4)
    out.sum().backward()
    assert causal_linear_attention(*empty, torch.tensor([0])).shape == (0, 2, 4)
    query, key, value = inputs()
    with torch.no_grad():
        key[:2] = 0.0
    out = causal_linear_attention(query, key, value)
    assert out[:2].equal(torch.zeros(2, 2, 4, dtype=F64))
    torch.testing.assert_close(out[2], value[2])
    assert all(g.isfinite().all() for g in torch.autograd.grad(out.sum(), (query, key, value)))


def test_sums_of_half_precision_are_in_single():
    query, key, value = (torch.ones(70_000, 1, 1, dtype=torch.float16) for _ in range(3))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = causal_linear_attention(query, key, value, normalize="position")
    assert out.dtype == torch.float16
    assert out.equal(torch.ones_like(out))


@pytest.mark.slow
def test_compiled():
    given = inputs()
    ours = torch.compile(causal_linear_attention, backend="eager", fullgraph=True)
    out, expected = ours(*given, PTR), causal_linear_attention(*given, PTR)
    torch.testing.assert_close(out, expected)
    grads = [torch.autograd.grad(o.square().sum(), given) for o in (out, expected)]
    torch.testing.assert_close(*grads)


def test_wrong_input_is_named():
    query, key, value = inputs()
    for change, message in (
        ({"normalize": "length"}, r"'normalize' to be one of \['keys', 'position'\]"),
        ({"backend": "sdpa"}, r"'backend' to be one of \['auto', 'torch', 'triton'\]"),
        ({"chunk_size": 0}, r"'chunk_size' to be positive \(got 0\)"),
        ({"key": key[:5]}, r"'key' of the shape of 'query', \[12, 2, 3\] \(got \[5, 2, 3\]"),
        ({"value": value[:, :1]}, r"'value' of shape \[12, 2, E\] \(got \[12, 1, 4\]"),
        ({"value": value.float()}, "'value' of the dtype and device of 'key'"),
        ({"query": query[:, 0]}, r"'query' of shape \[N, H, D\]"),
        ({"ptr": torch.tensor([0, 5])}, "'ptr' to rise from 0 to N = 12"),
    ):
        with pytest.raises(ValueError, match=message):
            causal_linear_attention(
                **{"query": query, "key": key, "value": value, "ptr": PTR} | change
            )
