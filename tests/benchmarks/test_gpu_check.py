import importlib.util
import json
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

PATH = Path(__file__).parents[2] / "benchmarks" / "gpu_check.py"


@pytest.fixture
def check(monkeypatch):
    spec = importlib.util.spec_from_file_location("gpu_check", PATH)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "gpu_check", module)
    spec.loader.exec_module(module)
    return module


def test_one_line_without_a_device(check, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert check.main(["--json", str(tmp_path / "gpu.json")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "gpu.json").exists()


def test_only_what_is_correct_is_timed(check, monkeypatch):
    options = {"sizes": (40,), "dtypes": (torch.float32,), "repeat": 1}
    rows = check.table("cpu", ("reference",), **options)
    assert [row["backend"] for row in rows] == ["two calls", "reference"]
    assert all(row["correct"] and row["error"] < 1e-5 for row in rows)
    assert rows[0]["forward_speed"] == rows[0]["forward_backward_speed"] == 1.0
    assert rows[1]["forward_backward_ms"] > 0

    right = check.flare_attention
    monkeypatch.setattr(check, "flare_attention", lambda *a, **k: 1.01 * right(*a, **k))
    rows = check.table("cpu", ("reference",), **options)
    assert rows[1]["correct"] is False
    assert "forward_ms" not in rows[1]


def test_causal_flare_is_compared_and_timed(check, monkeypatch):
    monkeypatch.setattr(check, "_CAUSAL_REFERENCE", 20)
    monkeypatch.setattr(check, "CAUSAL", (2, 3, 4))
    options = {"sizes": (40,), "dtypes": (torch.float32,), "repeat": 1}
    (row,) = check.causal_table("cpu", ("reference",), **options)
    assert row["correct"]
    assert row["error"] < 1e-5
    assert row["forward_backward_speed"] > 0

    right = check.flare_causal_attention

    def wrong(*leaves, **how):
        return right(*leaves, **how) * (1.01 if len(leaves[1]) == 40 else 1.0)

    monkeypatch.setattr(check, "flare_causal_attention", wrong)
    (row,) = check.causal_table("cpu", ("reference",), **options)
    assert row["correct"] is False
    assert "forward_ms" not in row


class OutOfResourcesError(Exception):
    """Of the kind that Triton raises, which is no RuntimeError."""


def test_a_kernel_that_fails_is_a_line_of_the_table(check, monkeypatch):
    def fail(*_, **__):
        raise OutOfResourcesError("shared memory\nmore")

    monkeypatch.setattr(check, "flare_attention", fail)
    options = {"sizes": (40,), "dtypes": (torch.float32,), "repeat": 1}
    _, row = check.table("cpu", ("reference",), **options)
    assert row["correct"] is False
    assert row["refused"] == "OutOfResourcesError: shared memory"


def test_block_sizes_are_tried_until_the_deadline(check, monkeypatch):
    triton_kernels = pytest.importorskip("flare_mesh.ops.triton_kernels")
    right = check.flare_attention

    def mix(*leaves, ptr, backend):
        assert backend == "triton"
        if any(triton_kernels._tiles(p, 64, 16, torch.float32).warps == 8 for p in PASSES):
            raise OutOfResourcesError("registers")
        return right(*leaves, ptr=ptr, backend="reference")

    monkeypatch.setattr(check, "flare_attention", mix)
    monkeypatch.setattr(check, "DTYPES", (torch.float32,))
    rows = check.tune(time.monotonic() + 60, 30, "cpu")
    assert len(rows) == 3 * 7
    for row in rows:
        assert ("refused" in row) == (row["warps"] == 8)
        assert ("forward_ms" in row) == (row["warps"] != 8)
    assert check.tune(time.monotonic() - 1, 30, "cpu") == []


PASSES = ("encode", "decode", "backward")


@pytest.mark.parametrize(("correct", "code", "expected"), [(1, 0, 0), (0, 0, 1), (1, 1, 1)])
def test_figures_are_written_after_each_step(check, monkeypatch, tmp_path, correct, code, expected):
    path = tmp_path / "out" / "gpu.json"
    seen = []

    def step(name, result):
        def run(*_, **__):
            seen.append(sorted(json.loads(path.read_text())) if path.exists() else [])
            return result

        monkeypatch.setattr(check, name, run)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    device = SimpleNamespace(name="Some GPU (80 GB)")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: device)
    step("run_tests", {"exit_code": code, "summary": "1 passed"})
    step("table", [{"correct": True}])
    step("causal_table", [{"correct": bool(correct)}])
    step("tune", [])
    assert check.main(["--json", str(path)]) == expected
    first = ["machine", "sizes", "tests"]
    assert seen == [
        [],
        first,
        ["machine", "mixer", *first[1:]],
        sorted([*first, "mixer", "causal"]),
    ]
    assert json.loads(path.read_text())["machine"]["device"] == "Some GPU (80 GB)"
    assert check._slug("Some GPU (80 GB)") == "some_gpu_80_gb"
