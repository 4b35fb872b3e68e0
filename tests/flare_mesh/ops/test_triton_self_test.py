"""What "auto" takes on a GPU, with stand-ins for the GPU and for kernels that are wrong."""

import os
from types import SimpleNamespace

import pytest
import torch

if not torch.cuda.is_available():
    os.environ.setdefault("TRITON_INTERPRET", "1")
pytest.importorskip("triton")

from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixers.triple import TripleAttention
from flare_mesh.ops import backends, causal_linear, causal_linear_attention, triton_self_test

FAMILIES = list(triton_self_test.FAMILIES)


@pytest.fixture(autouse=True)
def no_answers(monkeypatch):
    monkeypatch.setattr(triton_self_test, "_answers", {})


@pytest.fixture
def kernels_of(monkeypatch):
    """Function that replaces the kernels of all families by the portable code, times a factor."""

    def replace(factor):
        for name, family in triton_self_test.FAMILIES.items():

            def run(given, ptr, kernels, portable=family.run):
                out = portable(given, ptr, False)
                return factor * out if kernels else out

            monkeypatch.setitem(triton_self_test.FAMILIES, name, family._replace(run=run))

    return replace


def on_gpu(*shape, dtype=torch.float32):
    """What the choice reads of a tensor on a GPU."""
    return SimpleNamespace(shape=shape, dtype=dtype, device=torch.device("cuda:1"))


@pytest.mark.parametrize("family", ["mixer", "causal_linear", "trilinear"])
def test_wrong_values_are_refused_with_one_line(family, kernels_of, caplog):
    kernels_of(1.001)
    assert not any(triton_self_test.works(family, "cpu", torch.float32) for _ in range(2))
    (line,) = caplog.messages
    assert f"'{family}' fail their test on cpu in float32" in line
    assert "at most 0.0001, got 0.001)" in line
    caplog.clear()
    assert triton_self_test.works(family, "cpu", torch.float16)  # its own rounding is as large
    kernels_of(float("nan"))
    assert not triton_self_test.works(family, "cpu", torch.bfloat16)
    assert "got inf" in caplog.text


def test_right_values_are_compared_once(kernels_of, caplog, monkeypatch):
    kernels_of(1.0)
    with torch.no_grad(), torch.autocast("cpu"), torch.inference_mode():
        assert triton_self_test.works("causal_linear", "cpu", torch.float32)
    monkeypatch.setattr(triton_self_test, "_largest_error", None)
    assert triton_self_test.works("causal_linear", "cpu", torch.float32)
    assert caplog.messages == []


def test_kernels_that_cannot_run_are_refused_with_the_reason(monkeypatch, caplog):
    def run(*_):
        raise RuntimeError("no kernel image is available\nsecond line")

    family = triton_self_test.FAMILIES["mixer"]
    monkeypatch.setitem(triton_self_test.FAMILIES, "mixer", family._replace(run=run))
    assert not triton_self_test.works("mixer", "cpu", torch.float32)
    (line,) = caplog.messages
    assert "(RuntimeError: no kernel image is available); 'auto' takes backend 'sdpa'" in line


def test_nothing_is_compared_while_a_graph_is_captured(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
    assert not triton_self_test.works("mixer", "cuda:0", torch.float32)
    assert triton_self_test._answers == {}


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_kernels_pass(family, caplog, monkeypatch):
    device = "cuda:0" if torch.cuda.is_available() else "cpu"
    if device == "cpu":  # fewer nodes for Triton's interpreter
        known = triton_self_test.FAMILIES[family]
        nodes = triton_self_test._OFFSETS[-1]
        shapes = [(20 if n == nodes else n, *rest) for n, *rest in known.shapes]
        monkeypatch.setitem(triton_self_test.FAMILIES, family, known._replace(shapes=shapes))
        monkeypatch.setattr(triton_self_test, "_OFFSETS", (0, 15, 15, 16, 20))
    assert triton_self_test.works(family, device, torch.float32), caplog.text


@pytest.mark.parametrize("answer", [True, False])
def test_choice_of_auto(answer, monkeypatch):
    asked = []

    def works(*case):
        asked.append(case)
        return answer

    monkeypatch.setattr(backends, "_HAS_TRITON", True)
    monkeypatch.setattr(triton_self_test, "works", works)
    assert backends.choose("auto", on_gpu(5, 2, 64)) == ("triton" if answer else "sdpa")
    assert asked == [("mixer", "cuda:1", torch.float32)]
    assert backends.choose("auto", on_gpu(5, 2, 65)) == "sdpa"
    assert backends.choose("auto", on_gpu(5, 2, 8, dtype=torch.float64)) == "sdpa"
    monkeypatch.setattr(backends, "_HAS_TRITON", False)
    assert backends.choose("auto", on_gpu(5, 2, 8)) == "sdpa"
    assert len(asked) == 1


@pytest.mark.parametrize("answer", [True, False])
def test_other_families_ask_too(answer, monkeypatch):
    asked, taken = [], []

    def prefers(family, key):
        asked.append(family)
        return answer

    monkeypatch.setattr(backends, "prefers_triton", prefers)
    monkeypatch.setattr("flare_mesh.nn.mixers.triple.prefers_triton", prefers)
    sums = causal_linear._Sums.apply
    monkeypatch.setattr(
        causal_linear._Sums, "apply", lambda *a: (taken.append(a[3].chunk_size), sums(*a))[1]
    )
    rows = torch.rand(3, 1, 2)
    causal_linear_attention(rows, rows, rows)
    assert (taken == [None]) == answer
    x = torch.rand(3, 4)
    TripleAttention(4, 2)(x, graphs_of(x, ptr=torch.tensor([0, 3])))
    assert asked == ["causal_linear", "trilinear"]
