import os
from itertools import pairwise

import pytest
import torch

if not torch.cuda.is_available():
    # Triton's interpreter; read when triton is imported.
    os.environ.setdefault("TRITON_INTERPRET", "1")
tl = pytest.importorskip("triton.language")

from flare_mesh.ops import triton_launch
from flare_mesh.ops.graph_trilinear import graph_contract, graph_moments

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def inputs(nodes, heads, widths, dtype=torch.float32):
    """a, b, c of the moments, and what is contracted with them."""
    generator = torch.Generator().manual_seed(0)
    shapes = [(nodes, heads, w) for w in (*widths, *widths[1:])]
    drawn = (torch.randn(s, generator=generator, dtype=torch.float64) for s in shapes)
    return [t.to(DEVICE, dtype).requires_grad_() for t in drawn]


def by_einsum(a, b, c, q, r, ptr):
    parts = []
    for start, end in pairwise(ptr.tolist()):
        x, y, z, s, t = (tensor[start:end] for tensor in (a, b, c, q, r))
        moments = torch.einsum("nhi,nhj,nhk->hijk", x, y, z)
        parts.append(torch.einsum("hijk,nhj,nhk->nhi", moments, s, t))
    return torch.cat(parts)


def through_kernels(a, b, c, q, r, ptr):
    return graph_contract(graph_moments(a, b, c, ptr), q, r, ptr)


def check(sizes, heads, widths, dtype=torch.float32, tolerance=1e-5):
    given = inputs(sum(sizes), heads, widths, dtype)
    exact = [t.detach().double().requires_grad_() for t in given]
    ptr = torch.tensor([0, *sizes]).cumsum(0).to(DEVICE)
    out, want = through_kernels(*given, ptr), by_einsum(*exact, ptr)
    assert out.dtype == torch.float32
    factor = torch.randn(want.shape, generator=torch.Generator().manual_seed(1)).to(out)
    grads = torch.autograd.grad(out, given, factor)
    wanted = torch.autograd.grad(want, exact, factor.double())
    assert all(g.dtype == dtype for g in grads)
    for ours, right in zip((out, *grads), (want, *wanted), strict=True):
        atol = tolerance * right.abs().max().item()
        torch.testing.assert_close(ours.double(), right, rtol=tolerance, atol=atol)


@pytest.fixture
def short_chunks(monkeypatch):
    monkeypatch.setattr(triton_launch, "MIN_CHUNK", 32)


def test_values_and_gradients_are_those_of_the_sums(short_chunks):
    check([40, 0, 1], 1, (3, 2, 5))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "heads", "widths", "how"),
    [
        ([70, 3, 0], 2, (8, 8, 8), {}),
        ([40], 1, (17, 20, 18), {}),  # two blocks of each
        ([33], 1, (4, 1, 1), {}),
        ([40, 7], 2, (4, 4, 16), {"dtype": torch.bfloat16, "tolerance": 2e-2}),
        ([40, 7], 2, (4, 4, 16), {"dtype": torch.float16, "tolerance": 2e-2}),
    ],
    ids=str,
)
def test_other_sizes_and_types(short_chunks, sizes, heads, widths, how):
    check(sizes, heads, widths, **how)


@pytest.mark.slow
def test_second_derivatives():
    ptr = torch.tensor([0, 2, 3], device=DEVICE)
    results = []
    for form, dtype in ((through_kernels, torch.float32), (by_einsum, torch.float64)):
        given = inputs(3, 1, (2, 2, 2), dtype)
        grads = torch.autograd.grad(form(*given, ptr).square().sum(), given, create_graph=True)
        total = sum(g.square().sum() for g in grads)
        results.append([g.double() for g in torch.autograd.grad(total, given)])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-2)


def test_no_nodes():
    a, b, c, q, r = inputs(0, 1, (2, 3, 2))
    ptr = torch.tensor([0, 0], device=DEVICE)
    moments = graph_moments(a, b, c, ptr)
    assert moments.cpu().equal(torch.zeros(1, 1, 2, 3, 2))
    assert graph_contract(moments, q, r, ptr).shape == (0, 1, 2)


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
def test_many_nodes_and_the_same_bits_each_time():
    check([20_000, *[3] * 50, 700], 2, (16, 16, 16), tolerance=1e-4)
    given, ptr = inputs(200_000, 2, (8, 8, 8)), torch.tensor([0, 200_000], device=DEVICE)
    first, second = (through_kernels(*given, ptr) for _ in range(2))
    assert torch.equal(first, second)
