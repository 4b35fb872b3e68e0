import pytest
import torch

from flare_mesh import flare_attention
from flare_mesh.compiled import processor
from flare_mesh.ops import backends, fused_mixer, numba_kernels
from flare_mesh.ops.layout import Layout

KEY = torch.zeros(5, 2, 4)


def test_auto_depends_on_the_device():
    assert backends.choose("auto", KEY) == "numba"
    assert backends.choose("auto", torch.zeros(5, 2, 4, device="meta")) == "sdpa"
    with pytest.raises(ValueError, match="'numba' needs tensors on the CPU .*choose 'auto'"):
        backends.choose("numba", torch.zeros(5, 2, 4, device="meta"))


def test_what_triton_needs(monkeypatch):
    monkeypatch.setattr(backends, "_HAS_TRITON", True)
    assert backends.choose("triton", KEY) == "triton"
    with pytest.raises(ValueError, match=r"float16, bfloat16 and float32 \(got torch.float64\)"):
        backends.choose("triton", KEY.double())
    monkeypatch.setattr(backends, "_HAS_TRITON", False)
    with pytest.raises(ValueError, match="needs the package triton; install it"):
        backends.choose("triton", KEY)


def test_auto_without_compiled_loops(monkeypatch, caplog):
    def fail():
        raise RuntimeError("unknown target")

    monkeypatch.setattr(numba_kernels, "test_compilation", fail)
    backends._test_numba.cache_clear()
    assert [backends.choose("auto", KEY) for _ in range(2)] == ["sdpa", "sdpa"]
    backends._test_numba.cache_clear()
    assert caplog.text.count("(RuntimeError: unknown target); 'auto' takes backend 'sdpa'") == 1


def test_auto_with_features_that_the_processor_lacks(monkeypatch, caplog):
    """Loops of a processor with more instructions are never run."""
    monkeypatch.setattr(processor, "get_host_cpu_features", lambda: "+avx,-avx512f")
    monkeypatch.setattr(processor.config, "CPU_FEATURES", "+avx,+avx512f")
    backends._test_numba.cache_clear()
    assert [backends.choose("auto", KEY) for _ in range(2)] == ["sdpa", "sdpa"]
    backends._test_numba.cache_clear()
    assert caplog.text.count("asks for avx512f, which this processor lacks") == 1


@pytest.mark.parametrize(
    ("nodes", "heads", "latents", "width", "sdpa"),
    [
        (16, 8, 64, 8, True),
        (31, 8, 64, 8, True),
        (32, 8, 64, 8, False),
        (972, 8, 64, 8, False),
        (511, 4, 16, 16, True),
        (512, 4, 16, 16, False),
        (2047, 1, 64, 64, True),
        (4096, 1, 64, 64, False),
    ],
)
def test_auto_counts_scores(monkeypatch, nodes, heads, latents, width, sdpa):
    called = []

    def mix(query, key, *_):
        called.append(query.shape)
        return key

    monkeypatch.setattr(fused_mixer, "mix", mix)
    query, key = torch.zeros(heads, latents, width), torch.zeros(nodes, heads, width)
    flare_attention(query, key, key, ptr=torch.tensor([0, nodes]))
    assert (not called) == sdpa


def test_auto_leaves_other_cases_to_the_loops():
    query, key, layout = torch.zeros(1, 2, 8, 4), KEY, Layout(torch.tensor([0, 5]))
    assert backends.sdpa_is_faster(query, key, layout, None)
    assert not backends.sdpa_is_faster(query, key, layout, torch.zeros(5))
    assert not backends.sdpa_is_faster(query.half(), key.half(), layout, None)
    two = Layout(torch.tensor([0, 2, 5]))
    assert not backends.sdpa_is_faster(query.expand(2, 2, 8, 4), key, two, None)
    assert not backends.sdpa_is_faster(query.to("meta"), key.to("meta"), layout, None)
    chosen = torch.func.vmap(lambda k: k + backends.sdpa_is_faster(query, k, layout, None))
    assert not chosen(KEY[None]).any()
