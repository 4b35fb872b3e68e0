"""From CAD parts to the predicted distortion of a new part.

Simulate procedural parts, train a FLARE surrogate on them, predict the nut that PyVista ships, and
compare the prediction with a simulation. Each step is a command; `make demo` runs this file.

    python examples/demo.py [NUM_PARTS] [BUDGET]
"""

import json
import shlex
import sys
import time
from pathlib import Path

from pyvista import examples

import flare_mesh.cli
import lpbf.generate

DATA, RUN = Path("data/demo"), Path("runs/demo")
NUM_PARTS, BUDGET = [*sys.argv[1:], *("180", "90s")[len(sys.argv) - 1 :]]

GENERATE = (
    f"--out {DATA} --num-parts {NUM_PARTS} --pitch 1.5 --layer-height 1.5 --size 24 50 "
    f"--workers 2 --seed 0 --resume"
)
FIT = (
    f"fit --config lpbf_cpu --data.root {DATA} --data.val_split 0.1 --budget {BUDGET} "
    f"--out {RUN} --overwrite"
)
PREDICT = (
    f"predict --model {RUN} --input {shlex.quote(examples.nutfile)} --simulate "
    f"--out {RUN}/nut.vtu --picture {RUN}/nut.png"
)


def step(command: str, arguments: str, main) -> None:
    print(f"\n$ {command} {arguments}", flush=True)
    code = main(shlex.split(arguments))
    if code:
        sys.exit(code)


if __name__ == "__main__":
    start = time.perf_counter()
    step("python -m lpbf.generate", GENERATE, lpbf.generate.main)
    step("flare-mesh", FIT, flare_mesh.cli.main)
    step("flare-mesh", PREDICT, flare_mesh.cli.main)

    summary = json.loads((RUN / "summary.json").read_text())
    error, mean = (summary[key]["displacement"] for key in ("test_relative_l2", "mean_relative_l2"))
    print(
        f"\ndone in {(time.perf_counter() - start) / 60:.1f} minutes\n"
        f"relative L2 error of the displacement on held-out procedural parts: {error:.3f} "
        f"(predicting the training mean: {mean:.3f})\n"
        f"data set    {DATA}/\n"
        f"surrogate   {RUN}/\n"
        f"nut, VTK    {RUN}/nut.vtu\n"
        f"nut, image  {RUN}/nut.png"
    )
