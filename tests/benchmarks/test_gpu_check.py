import importlib.util
import sys
from pathlib import Path

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
