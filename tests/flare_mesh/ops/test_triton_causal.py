import os
from itertools import pairwise

import pytest
import torch

if not torch.cuda.is_available():
    # Triton's interpreter; read when triton is imported.
    os.environ.setdefault("TRITON_INTERPRET", "1")
tl = pytest.importorskip("triton.language")

from flare_mesh.ops import causal_linear_attention, triton_launch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def inputs(nodes, heads, dim, width, dtype=torch.float32, layout="plain"):
    generator = torch.Generator().manual_seed(0)

    def draw(channels):
        shape = (heads, nodes, channels) if layout == "heads_first" else (nodes, heads, channels)
        drawn = torch.randn(*shape, generator=generator, dtype=torch.float64)
        return drawn.transpose(0, 1) if layout == "heads_first" else drawn

    given = draw(dim).abs(), draw(dim).abs(), draw(width)
    return [t.to(DEVICE, dtype).requires_grad_() for t in given]


def by_matrix(query, key, value, ptr, normalize):
    parts = []
    for start, end in pairwise(ptr.tolist()):
        q, k, v = (t[start:end] for t in (query, key, value))
        past = q.new_ones(end - start, end - start).tril()
        scores = torch.einsum("thd,shd->hts", q, k) * past
        total = scores.sum(-1, keepdim=True) if normalize == "keys" else past.sum(-1)[:, None]
        parts.append(torch.einsum("hts,she->the", scores / total, v))
    return torch.cat(parts)


def check(sizes, heads, dim, width, normalize="keys", tolerance=1e-5, **how):
    given = inputs(sum(sizes), heads, dim, width, **how)
    exact = [t.detach().double().requires_grad_() for t in given]
    ptr = torch.tensor([0, *sizes]).cumsum(0).to(DEVICE)
    ours = causal_linear_attention(*given, ptr, normalize=normalize, backend="triton")
    matrix = by_matrix(*exact, ptr, normalize)
    factor = torch.randn(matrix.shape, generator=torch.Generator().manual_seed(1)).to(ours)
    results = [
        (out, *torch.autograd.grad(out, leaves, factor.to(out.dtype)))
        for out, leaves in ((ours, given), (matrix, exact))
    ]
    for got, want in zip(*results, strict=True):
        assert got.dtype == given[0].dtype
        atol = tolerance * want.abs().max().item()
        torch.testing.assert_close(got.double(), want, rtol=tolerance, atol=atol)


@pytest.fixture
def short_chunks(monkeypatch):
    monkeypatch.setattr(triton_launch, "MIN_CHUNK", 128)


def test_values_and_gradients_are_those_of_the_masked_matrix(short_chunks):
    check([140, 0, 1], 1, 3, 5)  # two chunks, the first of two tiles


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "heads", "dim", "width", "how"),
    [
        ([3, 0, 300, 1], 2, 3, 5, {"normalize": "position"}),
        ([140, 64], 1, 40, 70, {}),  # two blocks of columns
        ([90, 2], 3, 8, 8, {"layout": "heads_first"}),
        ([70, 200], 2, 16, 16, {"dtype": torch.bfloat16, "tolerance": 2e-2}),
        ([70, 200], 2, 16, 16, {"dtype": torch.float16, "tolerance": 2e-2}),
        ([0, 0], 2, 4, 4, {}),
    ],
    ids=str,
)
def test_other_sizes_and_types(short_chunks, sizes, heads, dim, width, how):
    if sum(sizes):
        return check(sizes, heads, dim, width, **how)
    given = inputs(0, heads, dim, width)
    out = causal_linear_attention(*given, torch.tensor([0, 0, 0], device=DEVICE), backend="triton")
    assert out.shape == (0, heads, width)


def test_what_the_kernels_cannot_do_is_refused():
    with pytest.raises(ValueError, match=r"1 to 128 channels .* \(got 3 and 129\)"):
        causal_linear_attention(*inputs(2, 1, 3, 128), backend="triton")
    with pytest.raises(ValueError, match="float16, bfloat16 and float32"):
        causal_linear_attention(*inputs(2, 1, 3, 4, torch.float64), backend="triton")


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
def test_many_nodes_and_the_same_bits_each_time():
    check([3_000, *[3] * 50, 700], 2, 16, 16, tolerance=1e-4)
    given = inputs(200_000, 2, 16, 16)
    first, second = (causal_linear_attention(*given, backend="triton") for _ in range(2))
    assert torch.equal(first, second)
