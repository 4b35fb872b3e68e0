import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.slow
def test_lpbf_distortion(tmp_path):
    """The demo as it is: about seven minutes on two cores."""
    subprocess.run([sys.executable, EXAMPLES / "01_lpbf_distortion.py"], cwd=tmp_path, check=True)
    metrics = json.loads((tmp_path / "runs/demo/metrics.json").read_text())
    assert metrics["test_relative_l2"]["displacement"] < 0.25
    assert metrics["mean_relative_l2"]["displacement"] > 0.9
    assert (tmp_path / "runs/demo/nut.png").stat().st_size > 100_000
