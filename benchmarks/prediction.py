"""Time and memory of the prediction of a large mesh, compared with the operator alone.

The operator's input is normalised beforehand; ``Surrogate.predict`` normalises, predicts and
decodes; ``predict`` also finds the fields by name and compares the mesh with the training range.
Before timing, the results are checked to be equal. Times are medians of alternating runs. Peak
memory is measured in a process of its own.

    python benchmarks/prediction.py [--nodes 1000000] [--repeat 5] [--json FILE]
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh import FLAREOperator, MeshData, Surrogate, predict
from flare_mesh.prediction import Predictor
from flare_mesh.surrogate.surrogate import _CHUNK_SIZE

SMALL, MESHES = 500, 64


def make(layers: int) -> Surrogate:
    """Surrogate of the published size, with normalisers fitted on a similar cloud."""
    torch.manual_seed(0)
    model = FLAREOperator(2, 3, hidden_channels=64, num_layers=layers, heads=8, num_latents=64)
    surrogate = Surrogate(model, {"displacement": 3}, inputs={"load": 1, "thickness": 1})
    case = cloud(10_000)
    x = torch.stack([case.load, case.thickness], 1)
    surrogate.fit_normalizers([Data(pos=case.pos, x=x, y=torch.randn(10_000, 3) * 5 + 2)])
    surrogate.training_range = None  # no warnings about clouds of other sizes
    return surrogate


def cloud(nodes: int) -> MeshData:
    generator = torch.Generator().manual_seed(nodes)
    pos = torch.rand(nodes, 3, generator=generator)
    return MeshData(pos, load=70 + pos[:, 0], thickness=1 + pos[:, 1])


def medians(runs: dict[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """Median seconds of each function, called alternately, after one untimed call."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeat + 1):
        for name, run in runs.items():
            start = time.perf_counter()
            run()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(times) for name, times in seconds.items()}


def check(got: Tensor, want: Tensor) -> None:
    error = float((got - want).norm() / want.norm())
    assert error < 1e-5, f"the results differ by {error:.1e}"


@torch.no_grad()
def large(nodes: int, layers: int, repeat: int) -> dict[str, float]:
    surrogate, mesh = make(layers), cloud(nodes)
    data = Data(pos=mesh.pos, x=torch.stack([mesh.load, mesh.thickness], 1))
    x, pos = surrogate.x_normalizer(data.x), surrogate.pos_normalizer(data.pos)

    def operator() -> Tensor:
        return surrogate.model(x, pos, chunk_size=_CHUNK_SIZE)

    expected = surrogate.y_normalizer.inverse(operator())
    check(surrogate.predict(data)["displacement"], expected)
    check(predict(surrogate, mesh).predicted["displacement"], expected)
    seconds = medians(
        {
            "operator": operator,
            "Surrogate.predict": lambda: surrogate.predict(data),
            "predict": lambda: predict(surrogate, mesh),
        },
        repeat,
    )
    return {f"{name}, s": value for name, value in seconds.items()} | {
        f"{name} over operator": seconds[name] / seconds["operator"]
        for name in ("Surrogate.predict", "predict")
    }


def small(layers: int, repeat: int) -> dict[str, float]:
    """Time of many small meshes one by one, over eight in a batch."""
    surrogate = make(layers)
    predictor = Predictor(surrogate)
    cases = [predictor.read(cloud(SMALL + 7 * i)) for i in range(MESHES)]

    def in_batches(size: int) -> list[Tensor]:
        found = (predictor.predict(cases[i : i + size]) for i in range(0, MESHES, size))
        return [one.predicted["displacement"] for part in found for one in part]

    for one, other in zip(in_batches(1), in_batches(8), strict=True):
        check(one, other)
    seconds = medians({"1": lambda: in_batches(1), "8": lambda: in_batches(8)}, repeat)
    return {f"{MESHES} small meshes, one by one over eight in a batch": seconds["1"] / seconds["8"]}


def worker(name: str, nodes: int, layers: int) -> None:
    """Predict once in this process, and print its peak memory in bytes."""
    surrogate, mesh = make(layers), cloud(nodes)
    if name == "operator":
        with torch.no_grad():
            surrogate.model(torch.rand(nodes, 2), mesh.pos, chunk_size=_CHUNK_SIZE)
    else:
        predict(surrogate, mesh)
    status = Path("/proc/self/status").read_text()
    peak = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    print(1024 * int(peak.split()[1]))


def peaks(nodes: int, layers: int) -> dict[str, float]:
    found = {}
    for name in ("operator", "predict"):
        command = [sys.executable, __file__, "--worker", name]
        command += ["--nodes", str(nodes), "--layers", str(layers)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found[f"{name}, peak GB"] = int(done.stdout.split()[-1]) / 1e9
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=1_000_000)
    parser.add_argument("--layers", type=int, default=8)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", choices=["operator", "predict"], help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.nodes, options.layers)
        return
    figures: dict[str, Any] = {
        "nodes": options.nodes,
        "layers": options.layers,
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }
    figures |= large(options.nodes, options.layers, options.repeat)
    figures |= small(options.layers, options.repeat)
    if sys.platform == "linux":
        figures |= peaks(options.nodes, options.layers)
    for key, value in figures.items():
        print(f"{key:55s} {value:10.3f}" if isinstance(value, float) else f"{key:55s} {value}")
    if options.json:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
