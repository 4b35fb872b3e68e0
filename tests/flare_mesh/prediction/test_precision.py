import logging

import pytest
import torch

from flare_mesh import FLAREOperator, MeshData, Surrogate
from flare_mesh.compiled import processor
from flare_mesh.prediction import Predictor


@pytest.fixture(scope="module")
def surrogate():
    torch.manual_seed(0)
    model = FLAREOperator(0, 2, hidden_channels=16, num_layers=2, heads=2, num_latents=4)
    return Surrogate(model, {"u": 2})


def fields(surrogate, caplog, **options):
    mesh = MeshData(torch.rand(50, 3, generator=torch.Generator().manual_seed(0)))
    with caplog.at_level(logging.WARNING):
        predictor = Predictor(surrogate, **options)
    return predictor.predict([predictor.read(mesh)])[0].predicted["u"]


def test_bf16_changes_fields_by_some_per_cent(surrogate, caplog, monkeypatch):
    monkeypatch.setattr(processor, "get_host_cpu_features", lambda: "+avx512f,+amx-bf16")
    want, got = (fields(surrogate, caplog, precision=name) for name in ("32", "bf16"))
    assert not caplog.records
    assert got.dtype == torch.float32
    error = float((got - want).norm() / want.norm())
    assert 1e-5 < error < 0.05


def test_a_processor_without_bf16_is_named_once(surrogate, caplog, monkeypatch):
    monkeypatch.setattr(processor, "get_host_cpu_features", lambda: "+avx2,-avx512bf16,-amx-bf16")
    fields(surrogate, caplog)
    assert not caplog.records
    fields(surrogate, caplog, precision="bf16")
    assert caplog.text.count("no instructions for products of bfloat16") == 1


def test_an_unknown_precision(surrogate):
    with pytest.raises(ValueError, match=r"precision: unknown 'fp16'"):
        Predictor(surrogate, precision="fp16")
