import pytest
import torch

from flare_mesh import flare_attention
from flare_mesh.ops import backends

KEY = torch.zeros(5, 2, 4)


def test_auto_takes_what_can_run(monkeypatch):
    assert backends.choose("auto", KEY) == "numba"
    assert backends.choose("auto", torch.zeros(5, 2, 4, device="meta")) == "sdpa"
    monkeypatch.setattr(backends, "has_numba", False)
    assert backends.choose("auto", KEY) == "sdpa"
    with pytest.raises(ValueError, match="needs numba .*choose 'auto'"):
        backends.choose("numba", KEY)


def test_what_triton_needs(monkeypatch):
    monkeypatch.setattr(backends, "_HAS_TRITON", True)
    assert backends.choose("triton", KEY) == "triton"
    with pytest.raises(ValueError, match=r"float16, bfloat16 and float32 \(got torch.float64\)"):
        backends.choose("triton", KEY.double())
    monkeypatch.setattr(backends, "_HAS_TRITON", False)
    with pytest.raises(ValueError, match="needs triton, which is not installed"):
        backends.choose("triton", KEY)


def test_sdpa_without_numba_gives_the_same(monkeypatch):
    torch.manual_seed(0)
    query, key, value = torch.randn(2, 3, 4), torch.randn(9, 2, 4), torch.randn(9, 2, 4)
    ptr = torch.tensor([0, 4, 9])
    with_numba = flare_attention(query, key, value, ptr=ptr)
    monkeypatch.setattr(backends, "has_numba", False)
    torch.testing.assert_close(flare_attention(query, key, value, ptr=ptr), with_numba)
