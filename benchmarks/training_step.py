"""A training step of the operator beside the authors' model, and beside its matrix products.

    python benchmarks/training_step.py [--authors DIR] [--only published recommended]
        [--sizes 972x2 ...] [--compiled] [--busy] [--json FILE]

"published" is FLARE at its published size in float32 (C = 64, 8 blocks, AdamW) on equal meshes of
N nodes, "972x2" being two meshes of 972 nodes: forward, loss, backward and optimiser, as ratio of
the authors' time over ours. Both have the same weights, and their outputs are compared before the
timing. Ours takes the optimiser of ``flare-mesh fit``, theirs ``torch.optim.AdamW`` as in their
code. "recommended" is the model and optimiser that ``flare-mesh init`` writes, on eight meshes of
256 nodes. "limit" is the time of the step's matrix products at the rate that torch reaches here
for that many rows: three for each weight, and of each half of a mixer two in the forward and five
in the backward. On a busy machine, ``--busy`` measures the processor time of a single thread.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import measuring
import torch
from flare_mixing import C, H, M, alternate, check, load_authors, show
from torch import Tensor

from flare_mesh import FLAREOperator
from flare_mesh.training import build_optimizer
from flare_mesh.training.optimizers import OptimizerConfig

SIZES = ("972x1", "972x2", "972x8", "10000x1", "50000x1")
BLOCKS = 8
RECOMMENDED = {
    "num_layers": 3,
    "queries": "synthesized",
    "kv_layers": -1,
    "ffn_layers": 1,
    "head_layers": 1,
}


def training_step(
    run: Callable[[], Tensor], target: Tensor, optimizer: torch.optim.Optimizer
) -> Callable[[], None]:
    def step() -> None:
        loss = (run() - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


def limit(model: FLAREOperator, rows: int, clock: Callable[[], float], halves: int) -> float:
    """Seconds of the step's matrix products at the rate that torch reaches for [rows, C]."""
    x, weight = torch.randn(rows, C), torch.randn(C, C)
    out = torch.empty(rows, C)
    repeat = max(3, 500_000 // rows)
    rates = []
    for _ in range(5):
        start = clock()
        for _ in range(repeat):
            torch.mm(x, weight, out=out)
        rates.append((clock() - start) / repeat)
    weights = sum(p.numel() for n, p in model.named_parameters() if p.dim() == 2 and "weight" in n)
    mixers = len(model.blocks) * halves * 7 * M * C
    return statistics.median(rates) * (3 * weights + mixers) / (C * C)


def published(folder: Path, size: str, compiled: bool, clock: Callable[[], float]):
    nodes, meshes = (int(n) for n in size.split("x"))
    torch.manual_seed(0)
    theirs = load_authors(folder).FLAREModel(2, 1, C, BLOCKS, H, num_latents=M)
    ours = FLAREOperator.from_reference_state_dict(theirs.state_dict(), heads=H, pos_dim=2)
    pos, target = torch.rand(meshes, nodes, 2), torch.randn(meshes * nodes, 1)
    ptr = torch.arange(0, meshes * nodes + 1, nodes)

    def evaluate(model: Callable[..., Any]) -> Tensor:
        out = model(pos)
        return (out[0] if isinstance(out, tuple) else out).reshape(-1, 1)

    def ours_of() -> Tensor:
        return ours(None, pos.flatten(0, 1), ptr=ptr)

    check(ours_of(), evaluate(theirs))
    mine = build_optimizer(ours, OptimizerConfig("adamw", lr=1e-4))
    other = torch.optim.AdamW(theirs.parameters(), 1e-4)
    steps = {
        "ours": training_step(ours_of, target, mine),
        "authors": training_step(lambda: evaluate(theirs), target, other),
    }
    if compiled:
        fast = torch.compile(theirs)
        steps["compiled"] = training_step(lambda: evaluate(fast), target, other)
    seconds = alternate(steps, 9 if nodes * meshes < 20_000 else 5, clock, untimed=2)
    row = {f"{name}_s": statistics.median(times) for name, times in seconds.items()}
    for name in list(steps)[1:]:
        pairs = zip(seconds[name], seconds["ours"], strict=True)
        row[f"{name}_over_ours"] = statistics.median(a / b for a, b in pairs)
    row["limit_s"] = limit(ours, nodes * meshes, clock, 2)
    row["ours_over_limit"] = row["ours_s"] / row["limit_s"]
    return show(f"training step, {size}", row)


def recommended(clock: Callable[[], float]) -> dict[str, float]:
    meshes, nodes = 8, 256
    rows = meshes * nodes
    torch.manual_seed(0)
    model = FLAREOperator(12, 4, hidden_channels=C, heads=H, num_latents=M, **RECOMMENDED)
    x, pos, target = torch.randn(rows, 12), torch.rand(rows, 3), torch.randn(rows, 4)
    options = {"ptr": torch.arange(0, rows + 1, nodes), "weight": torch.rand(rows) + 0.1}
    optimizer = build_optimizer(model, OptimizerConfig("muon", lr=1e-4))
    step = training_step(lambda: model(x, pos, **options), target, optimizer)
    # The optimiser's part is timed once more by itself.
    seconds = alternate({"ours": step, "optimizer": optimizer.step}, 15, clock, untimed=2)
    row = {f"{name}_s": statistics.median(times) for name, times in seconds.items()}
    row["limit_s"] = limit(model, rows, clock, 3)
    row["ours_over_limit"] = row["ours_s"] / row["limit_s"]
    return show("recommended training step, 256x8", row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ["published", "recommended"]
    parser.add_argument("--authors", type=Path, help="checkout of vpuri3/FLARE.py")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts)
    parser.add_argument("--sizes", nargs="+", default=SIZES, metavar="NxB")
    parser.add_argument("--compiled", action="store_true", help="also their model compiled")
    measuring.add_busy(parser)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    clock, results = measuring.start(given.busy)
    if "published" in given.only and given.authors:
        results["published"] = {
            size: published(given.authors, size, given.compiled, clock) for size in given.sizes
        }
    if "recommended" in given.only:
        results["recommended"] = recommended(clock)
    measuring.write(given.json, results)


if __name__ == "__main__":
    main()
