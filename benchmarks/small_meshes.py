"""The mixer on small meshes: the compiled loops beside SDPA, forward and with gradients.

    python benchmarks/small_meshes.py [--busy] [--json FILE]

By these times ``flare_mesh.ops.backends.sdpa_is_faster`` was chosen. On a busy machine, ``--busy``
measures the processor time of a single thread.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path

import measuring
import torch
from flare_mixing import alternate, check, show

from flare_mesh import flare_attention

MESHES = ((1, 16), (1, 64), (1, 256), (1, 1024), (1, 4096), (8, 16), (32, 16), (8, 64), (4, 256))
SIZES = ((16, 8), (64, 8), (128, 8), (64, 16), (64, 64))
"""Latents and channels of a head; the heads have 64 channels together."""


def measure(
    meshes: int, nodes: int, latents: int, width: int, clock: Callable[[], float]
) -> dict[str, float]:
    heads = 64 // width
    generator = torch.Generator().manual_seed(0)
    query = 0.1 * torch.randn(heads, latents, width, generator=generator)
    shape = (meshes * nodes, heads, width)
    key, value, upstream = (torch.randn(shape, generator=generator) for _ in range(3))
    leaves = [t.requires_grad_() for t in (query, key, value)]
    ptr = torch.arange(meshes + 1) * nodes

    def forward(backend: str) -> torch.Tensor:
        return flare_attention(*leaves, ptr=ptr, backend=backend)

    def both(backend: str) -> tuple[torch.Tensor, ...]:
        return torch.autograd.grad(forward(backend), leaves, upstream)

    check(forward("numba"), forward("sdpa"))
    for ours, theirs in zip(both("numba"), both("sdpa"), strict=True):
        check(ours, theirs, 1e-3)
    row: dict[str, float] = {"meshes": meshes, "nodes": nodes, "latents": latents, "width": width}
    for name, step in (("forward", forward), ("forward_backward", both)):
        runs = {backend: (lambda s=step, b=backend: s(b)) for backend in ("numba", "sdpa")}
        with torch.set_grad_enabled(step is both):
            seconds = alternate(runs, max(9, min(60, 40_000 // len(key))), clock, untimed=2)
        medians = {backend: statistics.median(times) for backend, times in seconds.items()}
        row |= {f"{name}_{backend}_s": s for backend, s in medians.items()}
        row[f"{name}_sdpa_over_numba"] = medians["sdpa"] / medians["numba"]
    return show("small meshes", row)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    measuring.add_busy(parser)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    clock, results = measuring.start(given.busy)
    results["rows"] = [measure(*mesh, *size, clock) for mesh in MESHES for size in SIZES]
    measuring.write(given.json, results)


if __name__ == "__main__":
    main()
