"""Time and peak memory of one layer of every mixer against the number of nodes.

    python benchmarks/mixers.py [--nodes 1000 4000 ...] [--minutes 14] [--only NAME ...]
                                [--json FILE] [--figure FILE]

Forward and backward of one layer in training, C = 64, 8 heads, float32, all threads, for one graph.
Each mixer is measured in a process of its own, from few nodes to many, until the next size would
take longer than its share of the time, or more than half of the memory that is free. Seconds are
medians; memory is the peak of the process over what it had before, which includes the input. Growth
is the exponent of N between the last two sizes: 1 is linear. Before it is timed, a layer's result
for a graph must be that of the same graph in a batch.

``mixers_against_public.py`` compares the mixers with public code.
"""

import argparse
import ctypes
import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import torch
from bench import cores, processor
from flare_mixing import check, peak_memory
from torch import Tensor, nn

from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixer import MIXERS, build_mixer

C, H = 64, 8
NODES = [100, 300, 1_000, 4_000, 16_000, 64_000, 250_000, 1_000_000]
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "flare": ("flare", {}),
    **{name: (name, {}) for name in MIXERS},
    "ema in chunks": ("ema", {"chunk_size": 128}),
}
Rows = dict[int, dict[str, float]]


def layer_of(variant: str, nodes: int) -> Any:
    name, options = VARIANTS[variant]
    limits = {"max_nodes": nodes} if name in ("linformer", "third_order") else {}
    torch.manual_seed(0)
    return build_mixer(name, C, options | limits or None, heads=H)


def nodes_of(nodes: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(nodes, C, generator=generator).requires_grad_()


def check_layer(variant: str) -> None:
    some = nodes_of(60)
    layer, parts = layer_of(variant, 60), [some[:20], some[20:]]
    alone = torch.cat([layer.mix(part, graphs_of(part)) for part in parts])
    out = layer.mix(some, graphs_of(some, ptr=torch.tensor([0, 20, 60])))
    check(out, alone)
    out.sum().backward()  # loads what the first backward pass needs


def status(field: str, file: str = "/proc/self/status") -> float | None:
    """Bytes of an entry of a file of the system; None where there is no such file."""
    if not Path(file).is_file():
        return None
    lines = dict(line.split(":", 1) for line in Path(file).read_text().splitlines())
    return 1024 * float(lines[field].split()[0])


def step_memory(layer: nn.Module, x: Tensor) -> tuple[float, float]:
    """Seconds of a step, and its peak memory over what there was before, in bytes."""
    reset = Path("/proc/self/clear_refs")  # elsewhere the peak is that of all smaller sizes
    if reset.is_file():
        ctypes.CDLL(None).malloc_trim(0)  # what earlier steps freed would be used again
        reset.write_text("5")
    before = status("VmRSS") or 0.0
    return step(layer, x), max(peak_memory() - before, 1e5)


def step(layer: Any, x: Tensor) -> float:
    start = time.perf_counter()
    layer.mix(x, graphs_of(x)).sum().backward()
    return time.perf_counter() - start


def measure(variant: str, sizes: list[int], seconds: float) -> None:
    """Measure a mixer in this process; print a line of JSON for each size."""
    end = time.monotonic() + seconds
    check_layer(variant)
    rows: Rows = {}
    for nodes in sizes:
        free = status("MemAvailable", "/proc/meminfo") or math.inf
        if rows:
            next_seconds, next_bytes = (expected(rows, nodes, key) for key in ("seconds", "bytes"))
            left = end - time.monotonic()
            if 1.2 * next_seconds > left or next_bytes > free / 2:
                print(json.dumps({"stopped": nodes, "seconds": next_seconds, "bytes": next_bytes}))
                return
        layer, x = layer_of(variant, nodes), nodes_of(nodes)
        first, memory = step_memory(layer, x)
        times = [first] if first > 3 else [step(layer, x) for _ in range(3)]
        rows[nodes] = {"seconds": statistics.median(times), "bytes": memory}
        print(json.dumps({"nodes": nodes, **rows[nodes]}), flush=True)


def growth(rows: Rows, key: str) -> float:
    """Exponent of N between the last two sizes; with a single one, the largest of any mixer."""
    if len(rows) == 1:
        return 3.0 if key == "seconds" else 2.0
    (n1, first), (n2, last) = list(rows.items())[-2:]
    return math.log(last[key] / first[key]) / math.log(n2 / n1)


def expected(rows: Rows, nodes: int, key: str) -> float:
    last = max(rows)
    return rows[last][key] * (nodes / last) ** max(growth(rows, key), 1.0)


def run(variant: str, sizes: list[int], seconds: float) -> Rows:
    """Measure a mixer in a process of its own."""
    command = [sys.executable, __file__, "--worker", variant, "--seconds", str(seconds)]
    done = subprocess.run(
        [*command, "--nodes", *map(str, sizes)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"the process for '{variant}' failed:\n{done.stderr[-2000:]}")
    rows: Rows = {}
    for found in map(json.loads, done.stdout.splitlines()):
        if "stopped" in found:
            next_gb = found["bytes"] / 1e9
            print(f"{variant}: {found['stopped']:,} nodes left out, as they would take about "
                  f"{found['seconds']:.0f} s and {next_gb:.1f} GB", flush=True)  # fmt: skip
            continue
        rows[found.pop("nodes")] = found
    last = max(rows)
    text = f"{variant}: {last:,} nodes in {rows[last]['seconds']:.3g} s"
    if len(rows) > 1:
        text += f"; time grows as N^{growth(rows, 'seconds'):.2f}"
        text += f", memory as N^{growth(rows, 'bytes'):.2f}"
    print(text, flush=True)
    return rows


def table(results: dict[str, Rows], sizes: list[int]) -> str:
    lines = ["| mixer | " + " | ".join(f"{n:,} nodes: s, GB" for n in sizes) + " |"]
    lines.append("|---" * (len(sizes) + 1) + "|")
    for name, rows in results.items():
        cells = [
            f"{rows[n]['seconds']:.3g}, {rows[n]['bytes'] / 1e9:.2g}" if n in rows else ""
            for n in sizes
        ]
        lines.append(f"| `{name}` | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(results: dict[str, Rows], picture: Path, caption: str) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
    panels = {"seconds": ("seconds of a step", 1.0), "bytes": ("peak memory, GB", 1e-9)}
    for axis, (key, (title, unit)) in zip(axes, panels.items(), strict=True):
        for i, (name, rows) in enumerate(results.items()):
            # A size whose memory is lost in that of the process has no point.
            points = [
                (n, unit * row[key]) for n, row in rows.items() if row[key] > 1e6 * (unit < 1)
            ]
            style = {"marker": "os^"[i % 3], "ms": 4, "lw": 1.3, "color": f"C{i % 10}"}
            line = ["-", "--"][i // 10]
            x, y = ([point[k] for point in points] for k in (0, 1))
            axis.loglog(x, y, line, label=name, **style)
        axis.set(xlabel="nodes", title=title)
        axis.grid(alpha=0.3)
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside right center", fontsize=9)
    figure.suptitle(caption, fontsize=10)
    figure.savefig(picture, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=NODES)
    parser.add_argument("--minutes", type=float, default=14.0, help="time of all mixers together")
    parser.add_argument("--only", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--figure", type=Path)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        measure(given.worker, given.nodes, given.seconds)
        return
    end = time.monotonic() + 60 * given.minutes
    results = {}
    for i, name in enumerate(given.only):
        share = (end - time.monotonic()) / (len(given.only) - i)
        results[name] = run(name, sorted(given.nodes), share)
    print(table(results, sorted(given.nodes)))
    machine = {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "cores": cores(),
        "torch": torch.__version__,
    }
    if given.json:
        found = {"machine": machine, "mixers": results}
        given.json.write_text(json.dumps(found, indent=2) + "\n")
    if given.figure:
        caption = f"one layer, forward and backward, C = {C}, {H} heads; {machine['processor']}"
        draw(results, given.figure, f"{caption}, {machine['threads']} threads")


if __name__ == "__main__":
    main()
