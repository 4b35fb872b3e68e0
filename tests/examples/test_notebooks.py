"""The notebooks of examples/: their stored outputs, and that they run."""

import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
# Numbers that notebooks take from the environment, so that they run in seconds.
SHORT = {"BUDGET": "8s", "EPOCHS": "40", "NODES": "40000", "CASES": "36", "MODELS": "flare"}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stored(path):
    """The site shows the outputs: of every cell, in order, without an error."""
    notebook = nbformat.read(path, 4)
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == [*range(1, len(code) + 1)]
    outputs = [output for cell in code for output in cell.outputs]
    assert all(output.output_type != "error" for output in outputs)
    assert any("image/png" in output.get("data", ()) for output in outputs)
    assert any("assert " in cell.source for cell in code)
    text = path.read_text()
    assert len(text) < 1_000_000
    assert not re.search(r"/(root|home|work)/|\[2K", text)


def test_notebooks_are_listed():
    page = (ROOT / "docs/examples.md").read_text()
    listed = re.findall(r"^\.\./examples/(\w+)$", page, re.MULTILINE)
    assert listed == [path.stem for path in NOTEBOOKS]
    shown = re.findall(
        r"^:link: \.\./examples/(\w+)$.*?\(images/examples/(\w+)\.png\)", page, re.S | re.M
    )
    assert shown == [(name, name) for name in listed]
    pictures = {
        file.stem: file.stat().st_size for file in (ROOT / "docs/images/examples").iterdir()
    }
    assert [*sorted(pictures)] == listed
    assert max(pictures.values()) < 100_000


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_runs(path, tmp_path):
    command = [sys.executable, ROOT / ".ci/run_notebooks.py", path, "--out", tmp_path]
    done = subprocess.run(command, env={**os.environ, **SHORT}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / path.name).is_file()
