import json
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = pytest.mark.slow


def test_demo(tmp_path):
    """The demo as it is, on fewer parts in less time: it learns, if not as much."""
    command = [sys.executable, EXAMPLES / "demo.py", "40", "20s"]
    subprocess.run(command, cwd=tmp_path, check=True)
    summary = json.loads((tmp_path / "runs/demo/summary.json").read_text())
    assert summary["test_relative_l2"]["displacement"] < 0.85
    assert summary["mean_relative_l2"]["displacement"] > 0.9
    assert (tmp_path / "runs/demo/nut.png").stat().st_size > 100_000


def test_lpbf_gallery(tmp_path):
    """The example as it is, on coarser voxels."""
    command = [sys.executable, EXAMPLES / "lpbf_gallery.py", tmp_path / "gallery.png", "5"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert done.stdout.count(" steps, ") == 12
    assert (tmp_path / "gallery.png").stat().st_size > 200_000


def test_text_model(tmp_path):
    """The example as it is, on a text of two sentences and for a few steps."""
    text = tmp_path / "text.txt"
    text.write_text("The mesh is fine. A fine mesh has many nodes.\n" * 400)
    command = [sys.executable, EXAMPLES / "text_model.py", text, "--steps", "60"]
    done = subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, text=True)
    bits = float(re.search(r"steps: ([\d.]+) bits", done.stdout)[1])
    assert 0 < bits < float(re.search(r"shares of bytes: ([\d.]+)", done.stdout)[1])
    assert "agree" in done.stdout


def test_lpbf_supports(tmp_path):
    """The example as it is, on coarser voxels."""
    command = [sys.executable, EXAMPLES / "lpbf_supports.py", tmp_path / "supports.png", "2"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert "around their walls, which touch the part" in done.stdout
    assert (tmp_path / "supports.png").stat().st_size > 50_000


def test_data_set_pictures(tmp_path):
    """The example as it is, for two of its sets."""
    script = EXAMPLES / "data_set_pictures.py"
    shown = {path.stem for path in (EXAMPLES.parent / "docs/images/data_sets").iterdir()}
    assert {*runpy.run_path(str(script))["SETS"]} == shown
    command = [sys.executable, script, tmp_path, "--sets", "plates", "elasticity"]
    subprocess.run(command, cwd=tmp_path, check=True)
    for name in ("plates", "elasticity"):
        assert (tmp_path / f"{name}.png").stat().st_size > 20_000
