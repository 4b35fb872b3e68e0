"""Compare the time of a layer of each mixer with public code for the same, in one process.

    python benchmarks/mixers_against_public.py [--path DIR ...] [--authors DIR]
        [--nodes 1024 8192 65536] [--channels 64 128] [--only NAME ...] [--json FILE]

``--path`` has folders to import public code from: that of ``pip install --target DIR --no-deps
performer-pytorch linformer nystrom-attention perceiver-pytorch einops local-attention
axial-positional-embedding``, and checkouts of thuml/Transolver, NVIDIA/physicsnemo and
lucidrains/Mega-pytorch. ``--authors`` is a checkout of vpuri3/FLARE.py. What cannot be imported is
named and left out.

Forward and backward on one thread, float32, 8 heads, on the same batch of equal graphs, as most
public code takes no others: four graphs of less than 4,096 nodes, otherwise one. Both have the same
number of features, latents, slices or landmarks. Where both compute the same function they have the
same weights, and their results are compared before they are timed; otherwise the title has a "~".
Times are medians of the process's time in alternating runs; the ratio is the public time over ours.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial
from importlib.machinery import ModuleSpec
from importlib.util import module_from_spec
from pathlib import Path
from typing import Any

import torch
from bench import processor
from flare_mixing import alternate, check, show
from public_mixers import PAIRS
from torch import Tensor

MOST = {  # nodes within memory and a minute
    "softmax": 8_192,
    "ema": 8_192,
    "ema ~ Mega-pytorch": 1_024,
    "third_order": 100,
    "third_order strassen": 100,
    "quad": 8_192,
}


def compare(title: str, nodes: int, channels: int, seconds: float) -> dict[str, float]:
    """Seconds of both, and the ratio of public code to ours."""
    ours, theirs, tolerance = PAIRS[title](nodes, channels)
    graphs = 4 if nodes < 4096 else 1
    x = torch.randn(graphs, nodes, channels, generator=torch.Generator().manual_seed(0))
    x.requires_grad_()
    ptr = torch.arange(graphs + 1) * nodes
    runs: dict[str, Callable[[], Tensor]] = {
        "ours": lambda: ours(x.flatten(0, 1), ptr=ptr),
        "public": lambda: theirs(x),
    }
    if tolerance is not None:
        check(runs["ours"]().flatten(), runs["public"]().flatten(), tolerance)
    steps = {name: partial(step, run) for name, run in runs.items()}
    start = time.process_time()
    alternate(steps, 1, time.process_time, untimed=0)
    repeat = max(3, min(21, int(seconds / (time.process_time() - start))))
    times = alternate(steps, repeat, time.process_time, untimed=0)
    found = {f"{name}_s": statistics.median(values) for name, values in times.items()}
    return found | {"public_over_ours": found["public_s"] / found["ours_s"]}


def step(run: Callable[[], Tensor]) -> None:
    out = run()
    out.backward(torch.ones_like(out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--path", type=Path, nargs="+", default=[], help="folders of public code")
    parser.add_argument("--authors", type=Path, help="checkout of vpuri3/FLARE.py")
    parser.add_argument("--nodes", type=int, nargs="+", default=[1_024, 8_192, 65_536])
    parser.add_argument("--channels", type=int, nargs="+", default=[64, 128])
    parser.add_argument("--only", nargs="+", help="titles that begin with one of these")
    parser.add_argument("--seconds", type=float, default=4.0, help="of a pair at one size")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    sys.path += [str(folder) for folder in given.path]
    if given.authors is not None:  # without the package's own imports
        spec = ModuleSpec("flare_authors", None, is_package=True)
        spec.submodule_search_locations = [str(given.authors / "lra" / "models")]
        sys.modules["flare_authors"] = module_from_spec(spec)
    torch.set_num_threads(1)
    rows: dict[str, Any] = {}
    for title in PAIRS:
        if given.only and not title.startswith(tuple(given.only)):
            continue
        largest = MOST.get(title, max(given.nodes))
        sizes = sorted({min(n, largest) for n in given.nodes})
        try:
            for channels in given.channels:
                for nodes in sizes:
                    row = compare(title, nodes, channels, given.seconds)
                    rows[f"{title}, {nodes} nodes, {channels} channels"] = row
                    show(f"{title}, {nodes:,} nodes, C = {channels}", row)
        except ImportError as error:
            print(f"{title}: left out, public code is absent ({error}); see --path and --authors")
    if given.json:
        machine = {"processor": processor(), "torch": torch.__version__}
        given.json.write_text(json.dumps({"machine": machine, "pairs": rows}, indent=2) + "\n")


if __name__ == "__main__":
    main()
