import importlib.util
import json
import re
from pathlib import Path

import pytest

PATH = Path(__file__).parents[2] / "benchmarks" / "bench.py"


@pytest.fixture
def bench(tmp_path, monkeypatch):
    spec = importlib.util.spec_from_file_location("bench", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    good = "import sys; from pathlib import Path; Path(sys.argv[-1]).write_text('{\"x\": 1.5}')"
    (tmp_path / "good.py").write_text(good)
    (tmp_path / "wrong.py").write_text("assert False, 'the results differ'")
    (tmp_path / "slow.py").write_text("import time; time.sleep(60)")
    monkeypatch.setattr(module, "HERE", tmp_path)
    return module


def test_every_part_is_a_script(bench):
    for script, *_ in bench.PARTS.values():
        text = (PATH.parent / script).read_text()
        assert '"--json"' in text
        checks = re.search(r"def check|import .*\bcheck\b|assert", text)
        assert checks, f"{script} times without a check"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Intel(R) Xeon(R) CPU @ 2.80GHz", "intel_xeon_2_cores.json"),
        ("AMD EPYC 7B13 64-Core Processor", "amd_epyc_7b13_64_core_2_cores.json"),
        ("arm", "arm_2_cores.json"),
    ],
)
def test_file_name(bench, name, expected):
    assert bench.file_name(name, 2) == expected


def test_figures_failures_and_what_is_left_out(bench, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(bench, "PARTS", {"wrong": ["wrong.py"], "good": ["good.py", "--a", "1"]})
    assert bench.main(["--json", str(tmp_path / "all.json")]) == 1
    found = json.loads((tmp_path / "all.json").read_text())
    assert found["good"] == {"x": 1.5}
    assert found["failed"] == ["wrong"]
    assert "wrong" not in found
    assert [*found["left_out"]] == ["authors"]
    assert "wrong: failed with exit code 1" in capfd.readouterr().out

    monkeypatch.setattr(bench, "PARTS", {"slow": ["slow.py"], "good": ["good.py"]})
    assert bench.main(["--json", str(tmp_path / "all.json"), "--minutes", "0.002"]) == 0
    found = json.loads((tmp_path / "all.json").read_text())
    assert {*found["left_out"]} == {"authors", "slow", "good"}
    assert "good" not in found
