"""Conditioning of FLARE's encode matrices, over blocks, nodes and distributions of the nodes.

    python benchmarks/conditioning.py [--steps 1200] [--seeds 3] [--json FILE]

A small operator learns fields on random point clouds: sums of waves with the case's amplitudes. For
the encode matrix A [M, N] of each head, whose rows are softmax weights of the nodes, the table has
the condition number (largest over smallest singular value, in float64; the geometric mean over
heads and seeds), the effective rank of its singular values, and how many of them are above a
thousandth of the largest, before and after training;
and what half precision does to the mixing, encode and decode, as the relative error of a head's
output from keys, queries and values that are rounded to 16 bits, with sums in single precision as
in all backends, and of the whole operator under autocast.
"""

import argparse
import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from flare_mesh import FLAREOperator
from flare_mesh.analysis import effective_rank
from flare_mesh.nn.graphs import graphs_of
from flare_mesh.training.optimizers import OptimizerConfig, build_optimizer

WAVES = 2
NODES = (256, 1024, 4096, 16384)
CLOUDS: dict[str, Callable[[int, torch.Generator], Tensor]] = {
    "uniform": lambda n, g: torch.rand(n, 2, generator=g),
    "clustered": lambda n, g: torch.cat(
        [
            0.02 * torch.rand(n - n // 4, 2, generator=g) + 0.3,
            torch.rand(n // 4, 2, generator=g),
        ]
    ),
    "on a line": lambda n, g: torch.rand(n, 1, generator=g).expand(n, 2),
    "equal points": lambda n, g: torch.full((n, 2), 0.5),
}


def field(pos: Tensor, amplitudes: Tensor) -> Tensor:
    """Sum of waves of growing frequency, squashed; pos [N, 2], amplitudes [N, WAVES]."""
    k = torch.arange(1, WAVES + 1)
    waves = torch.sin(2.0 * k * pos[:, :1] + k) * torch.cos(2.0 * k * pos[:, 1:] - k)
    return torch.tanh((amplitudes * waves).sum(1, keepdim=True))


def cases(count: int, nodes: int, generator: torch.Generator, cloud: str = "uniform"):
    """Features, coordinates, targets and offsets of a batch."""
    pos = torch.cat([CLOUDS[cloud](nodes, generator) for _ in range(count)])
    amplitudes = torch.randn(count, WAVES, generator=generator).repeat_interleave(nodes, 0)
    return amplitudes, pos, field(pos, amplitudes), torch.arange(count + 1) * nodes


def trained(seed: int, steps: int) -> tuple[FLAREOperator, FLAREOperator, float]:
    """An operator before and after training, and its relative L2 error on new cases."""
    torch.manual_seed(seed)
    model = FLAREOperator(WAVES, 1, pos_dim=2, num_layers=4)
    before = FLAREOperator(**model.config)
    before.load_state_dict(model.state_dict())
    generator = torch.Generator().manual_seed(seed)
    optimizer = build_optimizer(model, OptimizerConfig("muon", lr=1e-2, weight_decay=0.1))
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        x, pos, y, ptr = cases(16, 128, generator)
        loss = (model(x, pos, ptr=ptr) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    x, pos, y, ptr = cases(16, 256, torch.Generator().manual_seed(99))
    with torch.no_grad():
        error = float((model(x, pos, ptr=ptr) - y).norm() / y.norm())
    return before, model, error


@torch.no_grad()
def measure(model: FLAREOperator, x: Tensor, pos: Tensor) -> list[dict[str, float]]:
    """Figures of each block for one case, by a model in float64."""
    h = model.encoder(x.double(), pos.double())
    graphs = graphs_of(h)
    rows = []
    for block in model.blocks:
        attention, n = block.attention, block.norm1(h)
        key, value = (t.transpose(0, 1) for t in (attention.keys(n), attention.values(n)))
        query = attention.latent_queries(n, graphs)[0]
        singular = torch.linalg.svdvals((query @ key.mT).softmax(-1))  # of [H, M, N]
        # Below rounding, a condition number says only that the matrix has no full rank.
        smallest = singular[:, -1].clamp(min=1e-16 * singular[:, 0])
        row = {
            "log10_condition": float((singular[:, 0] / smallest).log10().mean()),
            "effective_rank": float(effective_rank(singular).mean()),
            "above_1e-3": float((singular > 1e-3 * singular[:, :1]).double().sum(-1).mean()),
        }
        exact = mixed(query, key, value)
        for dtype in (torch.bfloat16, torch.float16):
            found = mixed(*(t.to(dtype).float() for t in (query, key, value))).double()
            row[str(dtype)[6:]] = float((found - exact).norm() / exact.norm())
        rows.append(row)
        h = block.mix(h, graphs)
    return rows


def mixed(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    latents = scaled_dot_product_attention(query, key, value, scale=1.0)
    return scaled_dot_product_attention(key, query, latents, scale=1.0)


@torch.no_grad()
def autocast_error(model: FLAREOperator, x: Tensor, pos: Tensor) -> float:
    """Relative error of the operator's output in bfloat16."""
    exact = model.double()(x.double(), pos.double())
    model.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = model(x, pos).double()
    return float((found - exact).norm() / exact.norm())


def table(seeds: int, steps: int) -> tuple[list[dict[str, Any]], list[float]]:
    """A row for each state of the model, cloud, number of nodes and block, and the errors."""
    rows: dict[tuple, list[dict[str, float]]] = {}
    errors = []
    for seed in range(seeds):
        before, after, error = trained(seed, steps)
        errors.append(error)
        print(f"seed {seed}: relative L2 error {error:.3f} after {steps} steps", flush=True)
        clouds = [("uniform", n) for n in NODES] + [(name, 4096) for name in list(CLOUDS)[1:]]
        for cloud, nodes in clouds:
            x, pos, _, _ = cases(1, nodes, torch.Generator().manual_seed(1000 + seed), cloud)
            for state, model in (("initial", before), ("trained", after)):
                half = autocast_error(model, x, pos)
                for block, row in enumerate(measure(model.double(), x, pos)):
                    key = (state, cloud, nodes, block)
                    rows.setdefault(key, []).append({**row, "operator_bfloat16": half})
                model.float()
    names = ("state", "cloud", "nodes", "block")
    return [
        {
            **dict(zip(names, key, strict=True)),
            **{k: statistics.mean(r[k] for r in found) for k in found[0]},
        }
        for key, found in rows.items()
    ], errors


def markdown(rows: list[dict[str, Any]]) -> str:
    lines = [
        "| state | nodes | condition number, block 1 to 4 | effective rank of 64 | singular values "
        "above 1e-3 | bf16, fp16 of a head | bf16 of the operator |",
        "|---|---|---|---|---|---|---|",
    ]
    for first in range(0, len(rows), 4):
        blocks = rows[first : first + 4]
        one = blocks[0]
        conditions = ", ".join(f"10^{row['log10_condition']:.1f}" for row in blocks)
        ranks, above = (
            ", ".join(f"{row[key]:.1f}" for row in blocks)
            for key in ("effective_rank", "above_1e-3")
        )
        halves = ", ".join(
            f"{max(row[key] for row in blocks):.0e}" for key in ("bfloat16", "float16")
        )
        lines.append(
            f"| {one['state']} | {one['nodes']:,} {one['cloud']} | {conditions} | {ranks} "
            f"| {above} | {halves} | {one['operator_bfloat16']:.0e} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=1200)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--json", type=Path, help="file for all figures")
    given = parser.parse_args()
    rows, errors = table(given.seeds, given.steps)
    if given.json:
        given.json.write_text(json.dumps({"errors": errors, "rows": rows}, indent=1))
    rows.sort(key=lambda row: row["state"])
    print(markdown(rows))


if __name__ == "__main__":
    main()
