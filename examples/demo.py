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
from flare_mesh.data.transforms import ShrinkageFeatures
from flare_mesh.datasets import LPBF

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


def coarse_build_error() -> float:
    """Error of the coarse build, which is among the model's inputs, as the prediction itself."""
    test, features, errors = LPBF(DATA, "test", targets=["displacement"]), ShrinkageFeatures(), []
    strain = -test.info()["process"]["inherent_strain"][2]
    for number in range(len(test)):
        case = test[number]
        x = features(case).x
        coarse = strain * features.length * x[:, -1:].exp() * x[:, :3]
        errors.append(float((coarse - case.y).norm() / case.y.norm()))
    return sum(errors) / len(errors)


if __name__ == "__main__":
    start = time.perf_counter()
    step("python -m lpbf.generate", GENERATE, lpbf.generate.main)
    step("flare-mesh", FIT, flare_mesh.cli.main)
    step("flare-mesh", PREDICT, flare_mesh.cli.main)

    summary = json.loads((RUN / "summary.json").read_text())
    error, mean = (summary[key]["displacement"] for key in ("test_relative_l2", "mean_relative_l2"))
    minutes, coarse = (time.perf_counter() - start) / 60, coarse_build_error()
    print(
        f"\ndone in {minutes:.1f} minutes\n"
        f"relative L2 error of the displacement on held-out procedural parts: {error:.3f}\n"
        f"the same of the coarse build alone, which is among its inputs: {coarse:.3f}, "
        f"and of the training mean: {mean:.3f}\n"
        f"data set    {DATA}/\n"
        f"surrogate   {RUN}/\n"
        f"nut, VTK    {RUN}/nut.vtu\n"
        f"nut, image  {RUN}/nut.png"
    )
