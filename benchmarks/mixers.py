"""Time and peak memory of one layer of every mixer against the number of nodes.

    python benchmarks/mixers.py [--nodes 1000 10000 100000] [--only NAME ...] [--public DIR]
                                [--json FILE] [--figure FILE]

Forward and backward of one layer, C = 64, 8 heads, float32, each in a process of its own for its
peak memory, which includes the interpreter and torch (about 0.3 GB). Before a timing, the layer's
result for a graph must be that of the same graph in a batch. ``--public`` is a folder with
performer-pytorch, linformer, nystrom-attention and what they import (``pip install --target``):
these are timed in one process with ours, in turn, after the results of both with the same weights
have been compared.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from bench import processor
from flare_mixing import check, medians, peak_memory, ratios, show
from torch import Tensor, nn

from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixer import MIXERS, build_mixer

C, H = 64, 8
MOST = {"third_order": 100, "softmax": 20_000, "ema": 20_000}  # nodes within memory and minutes
LANDMARKS = 50  # divides the numbers of nodes: nystrom-attention pads other ones


def layer_of(name: str, nodes: int, **options: Any) -> nn.Module:
    torch.manual_seed(0)
    if name == "linformer":
        options["max_nodes"] = nodes
    return build_mixer(name, C, options or None, heads=H)


def nodes_of(nodes: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(nodes, C, generator=generator).requires_grad_()


def worker(name: str, nodes: int) -> None:
    """Time one layer in this process; print the median and the peak memory."""
    layer = layer_of(name, nodes)
    some = nodes_of(min(nodes, 60))
    cut = len(some) // 3
    parts = [some[:cut], some[cut:]]
    alone = torch.cat([layer.mix(part, graphs_of(part)) for part in parts])
    ptr = torch.tensor([0, cut, len(some)])
    check(layer.mix(some, graphs_of(some, ptr=ptr)), alone)
    x = nodes_of(nodes)
    seconds = []
    for _ in range(3):
        start = time.perf_counter()
        layer.mix(x, graphs_of(x)).sum().backward()
        seconds.append(time.perf_counter() - start)
    row = {"seconds": statistics.median(seconds), "peak_gb": peak_memory() / 1e9}
    print(json.dumps(row))


def measure(name: str, nodes: int) -> dict[str, float]:
    command = [sys.executable, __file__, "--worker", name, "--nodes", str(nodes)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the process for '{name}' failed:\n{done.stderr[-2000:]}")
    return show(f"{name}, {nodes:,} nodes", json.loads(done.stdout.splitlines()[-1]))


def step(run: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], None]:
    return lambda: run(x).sum().backward()


@torch.no_grad()
def copy_weights(ours: nn.Module, projections: list[Tensor], out: nn.Linear) -> None:
    """Give our layer the weights of a public one, whose projections have no bias."""
    ours.project.weight.copy_(torch.cat(projections))
    ours.project.bias.zero_()
    ours.out.load_state_dict(out.state_dict())


def public_layers(nodes: int) -> dict[str, tuple[nn.Module, nn.Module, float]]:
    """Our layer, the public one with the same weights, and how much they may differ."""
    from linformer import LinformerSelfAttention  # pyright: ignore[reportMissingImports]
    from nystrom_attention import NystromAttention  # pyright: ignore[reportMissingImports]
    from performer_pytorch import (
        SelfAttention,  # pyright: ignore[reportMissingImports]
        performer_pytorch,  # pyright: ignore[reportMissingImports]
    )

    # Its number beside the features is 1e-4 otherwise.
    kernel = partial(performer_pytorch.softmax_kernel, eps=1e-6)
    performer_pytorch.softmax_kernel = kernel
    performer = layer_of("performer", nodes)
    theirs = SelfAttention(C, heads=H, dim_head=C // H, nb_features=256)
    weights = [layer.weight for layer in (theirs.to_q, theirs.to_k, theirs.to_v)]
    copy_weights(performer.layer, weights, theirs.to_out)
    directions = theirs.fast_attention.projection_matrix
    performer.layer.directions.copy_(directions.expand(H, -1, -1))
    found = {"performer": (performer, theirs, 1e-3)}

    linformer = layer_of("linformer", nodes)
    theirs = LinformerSelfAttention(C, nodes, k=256, heads=H)
    weights = [layer.weight for layer in (theirs.to_q, theirs.to_k, theirs.to_v)]
    copy_weights(linformer.layer, weights, theirs.to_out)
    with torch.no_grad():
        linformer.layer.key_rows.copy_(theirs.proj_k)
        linformer.layer.value_rows.copy_(theirs.proj_v)
    found["linformer"] = (linformer, theirs, 1e-4)

    nystromformer = layer_of("nystromformer", nodes, num_landmarks=LANDMARKS)
    theirs = NystromAttention(C, C // H, H, num_landmarks=LANDMARKS, residual=False)
    copy_weights(nystromformer.layer, [theirs.to_qkv.weight], theirs.to_out[0])
    found["nystromformer"] = (nystromformer, theirs, 1e-3)
    return found


def compare(nodes: int, only: list[str]) -> dict[str, Any]:
    rows = {}
    for name, (ours, theirs, tolerance) in public_layers(nodes).items():
        if name not in only:
            continue
        x = nodes_of(nodes)
        run = {
            "ours": lambda x, layer=ours: layer.mix(x, graphs_of(x)),
            "public": lambda x, layer=theirs: layer(x[None])[0],
        }
        check(run["ours"](x), run["public"](x), tolerance)
        seconds = medians({key: step(value, x) for key, value in run.items()}, 5)
        rows[name] = show(f"{name} and its public layer, {nodes:,} nodes", ratios(seconds))
    return rows


def table(results: dict[str, dict[int, dict[str, float]]], sizes: list[int]) -> str:
    lines = ["| mixer | " + " | ".join(f"{n:,} nodes: s, GB" for n in sizes) + " |"]
    lines.append("|---" * (len(sizes) + 1) + "|")
    for name, rows in results.items():
        cells = [
            f"{rows[n]['seconds']:.3g}, {rows[n]['peak_gb']:.2f}" if n in rows else ""
            for n in sizes
        ]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(results: dict[str, dict[int, dict[str, float]]], picture: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.4))
    titles = {"seconds": "seconds, forward and backward", "peak_gb": "peak memory of a process, GB"}
    for i, (name, rows) in enumerate(results.items()):
        for axis, key in zip(axes, titles, strict=True):
            style = {"marker": "os^"[i // 10], "ms": 4, "color": f"C{i % 10}", "label": name}
            axis.loglog(list(rows), [row[key] for row in rows.values()], **style)
    for axis, title in zip(axes, titles.values(), strict=True):
        axis.set(xlabel="nodes", title=title)
    axes[1].legend(fontsize=7, ncols=2)
    figure.suptitle(f"one layer, C = {C}, {H} heads, {torch.get_num_threads()} threads", fontsize=9)
    figure.tight_layout()
    figure.savefig(picture, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[100, 1_000, 10_000, 100_000])
    names = ["flare", *MIXERS]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--public", type=Path, help="folder of the public packages")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        worker(given.worker, given.nodes[0])
        return
    machine = {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
    }
    mixers = {
        name: {n: measure(name, n) for n in given.nodes if n <= MOST.get(name, n)}
        for name in given.only
    }
    print(table(mixers, given.nodes))
    public = {}
    if given.public:
        sys.path.append(str(given.public))
        public = {n: compare(n, given.only) for n in given.nodes if n >= 1_000}
    if given.json:
        results = {"machine": machine, "mixers": mixers, "public": public}
        given.json.write_text(json.dumps(results, indent=2) + "\n")
    if given.figure:
        draw(mixers, given.figure)


if __name__ == "__main__":
    main()
