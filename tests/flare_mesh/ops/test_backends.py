import pytest
import torch

from flare_mesh.ops import backends, numba_kernels

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
