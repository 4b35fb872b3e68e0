"""Run notebooks from top to bottom, each in a folder of its own, and keep their outputs.

    .venv/bin/python .ci/run_notebooks.py [NOTEBOOK ...] [--out FOLDER]

Without notebooks it runs all of examples/. Without a folder it stores the outputs in the notebooks,
and their last pictures in docs/images/examples, for the page that lists them. An error in a cell
ends it with code 1.
"""

import argparse
import base64
import os
import re
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from PIL import Image

_CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours and movements of a terminal
_BAR = "\u2501"  # which progress bars are made of
_WIDTH = 480  # of a picture in the list of examples, pixels
ROOT = Path(__file__).resolve().parents[1]
EXAMPLES, LISTED = ROOT / "examples", ROOT / "docs/images/examples"


def run(path: Path, target: Path) -> None:
    """Run a notebook and write it with its outputs."""
    notebook = nbformat.read(path, 4)
    commands = str(Path(sys.executable).parent)  # flare-mesh, for cells that call it
    environment = {**os.environ, "PATH": commands + os.pathsep + os.environ["PATH"]}
    # Of our dependencies among themselves.
    environment["PYTHONWARNINGS"] = "ignore:IProgress,ignore::FutureWarning"
    with tempfile.TemporaryDirectory() as folder:
        client = NotebookClient(
            notebook,
            timeout=1800,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": folder}},
        )
        client.execute(env=environment)
    tidy(notebook)
    nbformat.write(notebook, target)


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Leave out times and progress bars, and make pictures smaller."""
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        kept: list[nbformat.NotebookNode] = []
        for output in cell.get("outputs", ()):
            if "image/png" in output.get("data", ()):
                output.data["image/png"] = smaller(output.data["image/png"])
            same = kept and output.output_type == "stream" == kept[-1].output_type
            if same and output.name == kept[-1].name:
                kept[-1].text += output.text
            else:
                kept.append(output)
        for output in kept:
            if output.output_type == "stream":
                lines = _CODES.sub("", output.text).splitlines()
                text = "\n".join(line.rstrip() for line in lines if _BAR not in line)
                output.text = text.strip("\n") + "\n"
        if "outputs" in cell:
            cell.outputs = [one for one in kept if one.get("text", "-").strip()]


def smaller(picture: str) -> str:
    """A PNG in base64 without transparency and compressed as far as possible."""
    file = BytesIO()
    image = Image.open(BytesIO(base64.b64decode(picture))).convert("RGB")
    image.save(file, "PNG", optimize=True)
    return base64.b64encode(file.getvalue()).decode()


def last_picture(notebook: nbformat.NotebookNode) -> Image.Image:
    """The last picture of a notebook, as small as the list of examples needs it."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [
        output.data["image/png"] for output in outputs if "image/png" in output.get("data", ())
    ]
    image = Image.open(BytesIO(base64.b64decode(pictures[-1]))).convert("RGB")
    height = round(_WIDTH * image.height / image.width)
    return image.resize((_WIDTH, height), Image.Resampling.LANCZOS)


def main() -> int:
    """Run the notebooks of the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebooks", nargs="*", type=Path, default=[])
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    code = 0
    for path in args.notebooks or sorted(EXAMPLES.glob("*.ipynb")):
        start = time.perf_counter()
        try:
            run(path, path if args.out is None else args.out / path.name)
            if args.out is None:
                small = last_picture(nbformat.read(path, 4)).quantize(128)
                small.save(LISTED / f"{path.stem}.png", optimize=True)
        except CellExecutionError as error:
            print(f"{path.name}: {error}")
            code = 1
        print(f"{path.name}: {time.perf_counter() - start:.0f} s", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main())
