"""Check the import contract of .importlinter on the packages as they are installed.

The folders datasets, visualize and configs are installed into flare_mesh, which import-linter only
sees where they are: so it runs on a folder of links that has the installed layout.
"""

import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]

with tempfile.TemporaryDirectory() as name:
    installed = Path(name)
    for package in ("flare_mesh", "lpbf"):
        (installed / package).mkdir()
        for entry in (ROOT / package).iterdir():
            (installed / package / entry.name).symlink_to(entry)
    for package, folder in setuptools["package-dir"].items():
        (installed / package.replace(".", "/")).symlink_to(ROOT / folder)
    command = [
        sys.executable,
        "-c",
        "from importlinter.cli import lint_imports_command as run; run()",
    ]
    command += ["--no-cache", str(ROOT / ".importlinter")]
    environment = {**os.environ, "PYTHONPATH": name}
    sys.exit(subprocess.run(command, cwd=name, env=environment).returncode)
