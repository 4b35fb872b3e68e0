import os
from itertools import pairwise

import pytest
import torch

if not torch.cuda.is_available():
    # Triton's interpreter; read when triton is imported, its own functions included.
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from flare_mesh.ops import triton_kernels as kernels
from flare_mesh.ops import triton_launch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
MIXED = [3, 0, 63, 1, 8, 9, 10, 40]
F32, BF16, F16 = torch.float32, torch.bfloat16, torch.float16
# The interpreter computes with NumPy, which warns of what IEEE arithmetic defines.
pytestmark = [
    pytest.mark.filterwarnings("ignore::RuntimeWarning"),
    pytest.mark.usefixtures("interpreter"),
]


def nodes_tensor(generator, layout, nodes, heads, dim):
    """A [N, H, D] key and value in one of the layouts that projections produce."""

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    if layout == "split":
        return draw(nodes, heads, 2 * dim).split(dim, dim=-1)
    if layout == "heads_first":
        return tuple(draw(heads, nodes, dim).transpose(0, 1) for _ in range(2))
    if layout == "columns":
        return tuple(draw(nodes, dim, heads).transpose(1, 2) for _ in range(2))
    return tuple(draw(nodes, heads, dim) for _ in range(2))


def inputs(sizes, heads, latents, dim, dtype, *, per_graph=False, layout="plain", gain=1.0):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    graphs, nodes = len(sizes), sum(sizes)
    if per_graph:
        query = draw(graphs, heads, latents, dim)
    else:  # stored as the authors do, latents last
        query = draw(heads, dim, latents).transpose(1, 2)
    key, value = nodes_tensor(generator, layout, nodes, heads, dim)
    query, key, value = ((x * f).to(DEVICE, dtype) for x, f in zip(
        (query, key, value), (gain, gain, 1.0), strict=True))  # fmt: skip
    if not per_graph:
        query = query.expand(graphs, heads, latents, dim)
    return {
        "query": query,
        "key": key,
        "value": value,
        "log_weight": (torch.rand(nodes, generator=generator) + 0.2).log().to(DEVICE),
        "latent": draw(graphs, heads, latents, dim).float().to(DEVICE),
        "grad_latent": draw(graphs, heads, latents, dim).float().to(DEVICE),
        "grad_lse": draw(graphs, heads, latents).float().to(DEVICE),
        "grad_out": draw(nodes, heads, dim).to(DEVICE, dtype),
        "ptr": torch.tensor([0, *sizes]).cumsum(0).to(DEVICE),
    }


def exact(tensor):
    return tensor.detach().double().requires_grad_()


def encode_by_hand(given, log_weight, scale):
    query, key, value = (exact(given[name]) for name in ("query", "key", "value"))
    bias = exact(given["log_weight"]) if log_weight is not None else None
    latents, sums = [], []
    for graph, (start, end) in enumerate(pairwise(given["ptr"].tolist())):
        scores = scale * torch.einsum("hmd,nhd->hmn", query[graph], key[start:end])
        if bias is not None:
            scores = scores + bias[start:end]
        latents.append(torch.einsum("hmn,nhd->hmd", scores.softmax(-1), value[start:end]))
        sums.append(scores.logsumexp(-1))
    latent, lse = torch.stack(latents), torch.stack(sums)
    leaves = [query, key, value] if bias is None else [query, key, value, bias]
    # The log-sum-exp of no nodes is the constant -inf.
    upstream = given["grad_lse"].double().masked_fill(lse.isneginf(), 0.0)
    grads = torch.autograd.grad(
        (latent, lse.masked_fill(lse.isneginf(), 0.0)),
        leaves,
        (given["grad_latent"].double(), upstream),
    )
    return latent, lse, grads


def decode_by_hand(given, scale):
    leaves = query, key, latent = [exact(given[name]) for name in ("query", "key", "latent")]
    out, lse = [torch.zeros_like(key)[:0]], [torch.zeros_like(key)[:0, :, 0]]
    for graph, (start, end) in enumerate(pairwise(given["ptr"].tolist())):
        scores = scale * torch.einsum("hmd,nhd->nhm", query[graph], key[start:end])
        out.append(torch.einsum("nhm,hmd->nhd", scores.softmax(-1), latent[graph]))
        lse.append(scores.logsumexp(-1))
    out, lse = torch.cat(out), torch.cat(lse)
    grads = torch.autograd.grad(out, leaves, given["grad_out"].double())
    return out, lse, grads


def run(given, log_weight, scale):
    """The four functions, each gradient from the kernels' own results."""
    query, key, value, ptr = (given[name] for name in ("query", "key", "value", "ptr"))
    latent, lse = kernels.encode(query, key, value, ptr, log_weight, scale)
    encoded = kernels.encode_backward(
        given["grad_latent"], given["grad_lse"], query, key, value, ptr, log_weight, latent, lse,
        scale,
    )  # fmt: skip
    out, out_lse = kernels.decode(query, key, given["latent"], ptr, scale)
    decoded = kernels.decode_backward(
        given["grad_out"], query, key, given["latent"], ptr, out, out_lse, scale
    )
    return (latent, lse, encoded), (out, out_lse, decoded)


def check(given, weighted, scale, tolerance):
    log_weight = given["log_weight"] if weighted else None
    encoded, decoded = run(given, log_weight, scale)
    dtype = given["key"].dtype
    assert [t.dtype for t in (*encoded[:2], *encoded[2][:3])] == [F32, F32, F32, dtype, dtype]
    assert [t.dtype for t in (*decoded[:2], *decoded[2])] == [dtype, F32, F32, dtype, F32]
    assert (encoded[2][3] is None) == (not weighted)
    names = ["latent", "lse", "grad_query", "grad_key", "grad_value", "grad_log_weight"]
    names += ["out", "out_lse", "decode_grad_query", "decode_grad_key", "grad_latent"]
    if not weighted:
        names.remove("grad_log_weight")
    wanted = encode_by_hand(given, log_weight, scale), decode_by_hand(given, scale)
    got, want = (
        [t for latent, lse, grads in (e, d) for t in (latent, lse, *grads) if t is not None]
        for e, d in ((encoded, decoded), wanted)
    )
    for name, a, b in zip(names, got, want, strict=True):
        largest = b[b.isfinite()].abs().max().item() if b.isfinite().any() else 0.0
        torch.testing.assert_close(
            a.double(),
            b.detach(),
            rtol=tolerance,
            atol=tolerance * max(1.0, largest),
            msg=lambda text, name=name: f"{name}: {text}",
        )


@pytest.mark.parametrize(
    ("sizes", "heads", "latents", "dim", "per_graph", "layout", "weighted"),
    [
        ([7], 1, 1, 5, False, "plain", False),
        ([1], 4, 5, 4, True, "plain", True),
        ([0, 0], 2, 5, 16, True, "plain", True),
        ([12, 4], 2, 5, 12, True, "columns", False),
        ([33, 0, 8], 3, 5, 8, True, "plain", True),  # no two heads together
        *(
            pytest.param(*case, marks=pytest.mark.slow)
            for case in (
                (MIXED, 2, 5, 8, False, "plain", False),  # two heads a tile
                (MIXED, 2, 5, 8, True, "split", True),
                ([40, 3], 4, 9, 4, False, "heads_first", True),
                ([2] * 30, 1, 5, 16, True, "plain", False),
                ([300, 5], 1, 70, 32, False, "plain", True),
                ([40], 2, 64, 8, False, "plain", False),
                ([40], 1, 5, 64, False, "plain", True),
            )
        ),
    ],
    ids=str,
)
def test_float32(sizes, heads, latents, dim, per_graph, layout, weighted):
    given = inputs(sizes, heads, latents, dim, F32, per_graph=per_graph, layout=layout)
    check(given, weighted, 0.7, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sizes", "heads", "latents", "dim", "dtype", "weighted"),
    [
        (MIXED, 2, 5, 8, BF16, True),
        ([70, 200], 4, 64, 4, BF16, False),
        ([90], 1, 130, 16, BF16, True),  # more latents than a block holds
        ([63, 0, 1, 40], 2, 64, 8, F16, True),
        ([200, 5], 1, 70, 32, F16, False),
    ],
    ids=str,
)
def test_half_precision(sizes, heads, latents, dim, dtype, weighted):
    given = inputs(sizes, heads, latents, dim, dtype, gain=0.5)
    check(given, weighted, 0.7, 2e-2)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [F32, F16])
def test_merged_chunks(monkeypatch, dtype):
    monkeypatch.setattr(triton_launch, "MIN_CHUNK", 16)
    given = inputs([300, 0, 5, 33, 16], 2, 5, 8, dtype, per_graph=True)
    check(given, True, 0.7, 1e-5 if dtype == F32 else 2e-2)


@pytest.mark.slow
def test_chunks_have_the_sizes_of_the_nodes_not_of_the_graphs(monkeypatch):
    monkeypatch.setattr(triton_launch, "MIN_CHUNK", 8)
    monkeypatch.setattr(triton_launch, "MAX_SPLITS", 4)
    given = inputs([1] * 12 + [100], 2, 5, 8, F32)
    assert kernels._plan("encode", given["query"], given["key"]).slots == 13 + 112 // 16
    check(given, False, 1.0, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("scale", [-0.5, 0.0])
def test_scales_that_are_not_positive(scale):
    check(inputs([9, 4], 2, 3, 8, F32), False, scale, 1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [F32, BF16, F16])
def test_large_scores(dtype):
    given = inputs([40, 3], 2, 5, 8, dtype, gain=10.0)
    results = run(given, given["log_weight"], 1.0)
    for latent, lse, grads in results:
        for tensor in (latent, lse, *grads):
            assert tensor.isfinite().all()
    wanted = encode_by_hand(given, given["log_weight"], 1.0)[0], decode_by_hand(given, 1.0)[0]
    for (got, _, _), want in zip(results, wanted, strict=True):
        torch.testing.assert_close(got.double(), want, rtol=2e-2, atol=2e-2)


@pytest.mark.slow
def test_float16_counts_nodes_below_its_range():
    # Nodes of weight 3e-8 relative to the largest, which is less than half of float16's smallest.
    key = torch.full((2000, 1, 4), -17.5 / 4)
    key[0] = 0.0
    value = torch.full((2000, 1, 4), 3e4)
    value[0] = 0.0
    key, value = (t.to(DEVICE, F16) for t in (key, value))
    ptr = torch.tensor([0, 2000], device=DEVICE)
    query = torch.ones(1, 1, 1, 4, device=DEVICE, dtype=F16)
    latent, lse = kernels.encode(query, key, value, ptr, None, 1.0)
    want = 1999 * 3e4 * torch.exp(torch.tensor(-17.5))
    torch.testing.assert_close(latent.cpu(), want.expand(1, 1, 1, 4), rtol=1e-2, atol=0.0)
    # Gradients of a loss scaled beyond float16.
    grads = kernels.encode_backward(
        torch.full_like(latent, 1e6), torch.zeros_like(lse), query, key, value, ptr, None, latent,
        lse, 1.0,
    )  # fmt: skip
    torch.testing.assert_close(grads[2][1:].max().item(), 1e6 * 2.5e-8, rtol=2e-2, atol=0.0)


def test_log_weight_of_minus_infinity_removes_a_node():
    given = inputs([140, 6], 2, 5, 8, F32)
    keep = torch.arange(146) >= 130  # the first tile holds nothing at all
    log_weight = given["log_weight"].masked_fill(~keep.to(DEVICE), -torch.inf)
    ptr = torch.tensor([0, 10, 16], device=DEVICE)
    query, key, value = (given[name] for name in ("query", "key", "value"))
    got = kernels.encode(query, key, value, given["ptr"], log_weight, 1.0)
    want = kernels.encode(query, key[130:], value[130:], ptr, log_weight[130:], 1.0)
    torch.testing.assert_close(got, want)


@pytest.mark.parametrize("dtype", [torch.float64, torch.int32])
def test_other_dtypes_are_refused(dtype):
    given = inputs([4], 1, 2, 4, dtype)
    with pytest.raises(ValueError, match="float16, bfloat16 or float32"):
        kernels.decode(given["query"], given["key"], given["latent"], given["ptr"], 1.0)


def test_wide_heads_are_refused():
    given = inputs([4], 1, 2, 65, F32)
    with pytest.raises(ValueError, match=r"at most 64 channels \(got 65\)"):
        kernels.encode(given["query"], given["key"], given["value"], given["ptr"], None, 1.0)


@pytest.mark.gpu
@pytest.mark.skipif(DEVICE == "cpu", reason="needs a CUDA device")
@pytest.mark.parametrize(
    ("dtype", "dim", "latents"),
    [
        (BF16, 8, 64),
        (BF16, 8, 320),
        (BF16, 16, 128),
        (F16, 8, 64),
        (F16, 64, 320),
        (F32, 8, 64),
        (F32, 64, 128),
    ],
    ids=str,
)
def test_many_nodes_and_the_same_bits_each_time(dtype, dim, latents):
    given = inputs([20_000, *[3] * 50, 700], 2, latents, dim, dtype, gain=0.5)
    check(given, True, 0.7, 1e-4 if dtype == F32 else 3e-2)
    first, second = (run(given, given["log_weight"], 0.7) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        for a, b in zip((*one[:2], *one[2]), (*other[:2], *other[2]), strict=True):
            assert torch.equal(a, b)
