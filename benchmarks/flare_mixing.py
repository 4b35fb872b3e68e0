"""Compare the speed of the mixer and the operator with other implementations, in one run.

    python benchmarks/flare_mixing.py --authors DIR [--only mixer batch ...] [--json FILE]

The others: two plain SDPA calls on the same tensors; the authors' model, eager and compiled, if
``--authors`` is a checkout of vpuri3/FLARE.py (which needs einops); PhysicsNeMo's FLARE layer if
it is installed. Before each timing, the results are compared. Times are medians of alternating
runs, ratios are their time over ours. Peak memory is measured in a separate process and includes
the interpreter and torch (about 0.3 GB). ``plot_flare_mixing.py`` plots the JSON.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from bench import processor
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention as sdpa

from flare_mesh import FLAREOperator, flare_attention

C, H, M = 64, 8, 64
D = C // H
MESHES = (  # graphs, nodes of each; the first is a training batch of small meshes
    (8, 256), (1, 1_000), (32, 1_000), (1, 10_000), (1, 50_000), (1, 100_000), (1, 200_000),
    (1, 1_000_000),
)  # fmt: skip
BATCH = (1_000, 2_000, 4_000, 8_000, 12_000, 20_000, 30_000, 50_000)
CHUNK = 16_384


def medians(runs: dict[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """Median seconds of each, in alternating runs after an untimed one."""
    seconds = alternate(runs, repeat, time.perf_counter)
    return {name: statistics.median(times) for name, times in seconds.items()}


def alternate(
    runs: dict[str, Callable[[], Any]], repeat: int, clock: Callable[[], float], untimed: int = 1
) -> dict[str, list[float]]:
    """Seconds of each in alternating runs, after untimed ones."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeat + untimed):
        for name, run in runs.items():
            start = clock()
            run()
            if turn >= untimed:
                seconds[name].append(clock() - start)
    return seconds


def repeats(nodes: int) -> int:
    return max(3, min(15, 1_000_000 // nodes))


def ratios(seconds: dict[str, float], ours: str = "ours") -> dict[str, float]:
    row = {f"{name}_s": value for name, value in seconds.items()}
    return row | {f"{n}_over_ours": s / seconds[ours] for n, s in seconds.items() if n != ours}


def show(title: str, row: dict[str, Any]) -> dict[str, Any]:
    cells = (f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in row.items())
    print(f"{title}: " + ", ".join(cells), flush=True)
    return row


def check(got: Tensor, want: Tensor, tolerance: float = 1e-4) -> None:
    error = float((got - want).detach().norm() / want.detach().norm())
    assert error < tolerance, f"the results differ by {error:.1e}"


def two_sdpa_calls(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None = None):
    """query [H, M, D]; key, value [B, N, H, D]; mask [B, N]."""
    key, value = key.transpose(1, 2), value.transpose(1, 2)
    query = query.expand(len(key), *query.shape)
    bias = None if mask is None else mask[:, None, None, :].expand(-1, 1, query.shape[2], -1)
    latent = sdpa(query, key, value, attn_mask=bias, scale=1.0)
    return sdpa(key, query, latent, scale=1.0).transpose(1, 2)


def tensors(nodes: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    query = 0.1 * torch.randn(H, M, D, generator=generator)
    key, value, upstream = (torch.randn(nodes, H, D, generator=generator) for _ in range(3))
    return query.requires_grad_(), key.requires_grad_(), value.requires_grad_(), upstream


def backward(output: Tensor, leaves: tuple[Tensor, ...], upstream: Tensor) -> tuple[Tensor, ...]:
    return torch.autograd.grad(output, leaves, upstream)


def mixer(sizes: tuple[tuple[int, int], ...]) -> dict[str, Any]:
    """Graphs of equal numbers of nodes: flare_attention and two SDPA calls."""
    rows = {}
    for graphs, nodes in sizes:
        total = graphs * nodes
        query, key, value, upstream = tensors(total)
        leaves, ptr = (query, key, value), torch.arange(graphs + 1) * nodes

        def ours(leaves=leaves, ptr=ptr):
            return flare_attention(*leaves, ptr=ptr)

        def theirs(leaves=leaves, graphs=graphs):
            key, value = (t.unflatten(0, (graphs, -1)) for t in leaves[1:])
            return two_sdpa_calls(leaves[0], key, value).flatten(0, 1)

        check(ours(), theirs())
        for a, b in zip(*(backward(f(), leaves, upstream) for f in (ours, theirs)), strict=True):
            check(a, b, 1e-3)
        with torch.no_grad():
            forward = medians({"ours": ours, "sdpa": theirs}, repeats(total))
        both = medians(
            {
                "ours": lambda f=ours, x=leaves, g=upstream: backward(f(), x, g),
                "sdpa": lambda f=theirs, x=leaves, g=upstream: backward(f(), x, g),
            },
            repeats(total),
        )
        name = f"{graphs}x{nodes}" if graphs > 1 else str(nodes)
        rows[name] = {
            "forward": show(f"mixer forward, {name} nodes", ratios(forward)),
            "forward_backward": show(f"mixer forward+backward, {name}", ratios(both)),
        }
    return rows


def batch() -> dict[str, Any]:
    """Eight meshes of 1k to 50k nodes: as a ragged batch, one by one, and padded with a mask."""
    nodes, longest = sum(BATCH), max(BATCH)
    query, key, value, upstream = tensors(nodes)
    leaves, ptr = (query, key, value), torch.tensor([0, *BATCH]).cumsum(0)
    mask = torch.arange(longest) < torch.tensor(BATCH)[:, None]

    def together():
        return flare_attention(*leaves, ptr=ptr)

    def alone():
        parts = zip(key.split(BATCH), value.split(BATCH), strict=True)
        ends = [torch.tensor([0, n]) for n in BATCH]
        return torch.cat(
            [flare_attention(query, k, v, ptr=e) for (k, v), e in zip(parts, ends, strict=True)]
        )

    def padded():
        dense = [
            torch.zeros(len(BATCH), longest, H, D).masked_scatter(mask[..., None, None], t)
            for t in (key, value)
        ]
        return two_sdpa_calls(query, *dense, mask)[mask]

    check(together(), alone())
    check(together(), padded())
    runs = {"ours": together, "one_by_one": alone, "padded_sdpa": padded}
    steps = {n: (lambda f=f: backward(f(), leaves, upstream)) for n, f in runs.items()}
    seconds = medians(steps, 5)
    row = ratios(seconds) | {"ours_over_one_by_one": seconds["ours"] / seconds["one_by_one"]}
    return show(f"batch of {BATCH}, forward+backward", row)


def load_authors(folder: Path) -> Any:
    path = folder / "pdebench" / "models" / "flare.py"
    if not path.is_file():
        raise SystemExit(f"--authors: expected a checkout of vpuri3/FLARE.py (got no {path})")
    spec = importlib.util.spec_from_file_location("authors_flare", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def models(folder: Path, blocks: int) -> tuple[nn.Module, FLAREOperator]:
    """The authors' model and ours, with the same weights."""
    torch.manual_seed(0)
    theirs = load_authors(folder).FLAREModel(3, 1, C, blocks, H, num_latents=M)
    ours = FLAREOperator.from_reference_state_dict(theirs.state_dict(), heads=H, pos_dim=3)
    return theirs, ours


def output(model: nn.Module, pos: Tensor, **options: Any) -> Tensor:
    if isinstance(model, FLAREOperator):
        return model(None, pos, **options)
    out = model(pos[None])
    return (out[0] if isinstance(out, tuple) else out).view(-1, 1)


def operator(folder: Path, nodes: int, compiled: bool) -> dict[str, Any]:
    """A training step (forward, backward) of the whole model with eight blocks."""
    theirs, ours = models(folder, 8)
    pos = torch.rand(nodes, 3, generator=torch.Generator().manual_seed(0))
    check(output(ours, pos), output(theirs, pos))

    def step(model: nn.Module, run: nn.Module | None = None) -> None:
        model.zero_grad()
        output(model if run is None else run, pos).square().mean().backward()

    runs = {"ours": lambda: step(ours), "authors": lambda: step(theirs)}
    if compiled:
        fast = torch.compile(theirs)
        runs["authors_compiled"] = lambda: step(theirs, fast)
    return show(f"operator, training step, {nodes:,} nodes", ratios(medians(runs, 5)))


def physicsnemo(nodes: int) -> dict[str, Any] | None:
    """PhysicsNeMo's layer, and the same layer with our mixer."""
    try:
        from physicsnemo.nn import FLARE  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        print(f"physicsnemo: skipped ({error})")
        return None
    torch.manual_seed(0)
    layer = FLARE(dim=C, heads=H, dim_head=D, n_global_queries=M)
    x = torch.randn(1, nodes, C)

    def ours() -> Tensor:
        middle = layer.in_project_x(x).unflatten(-1, (H, D))
        key, value = (f(middle).transpose(1, 2) for f in (layer.self_k, layer.self_v))
        mixed = flare_attention(layer.q_global[0], key, value, scale=layer.scale)
        return layer.out_linear(mixed.transpose(1, 2).flatten(2))

    check(ours(), layer(x))
    runs = {"ours": lambda: ours().sum().backward(), "theirs": lambda: layer(x).sum().backward()}
    return show(f"physicsnemo layer, forward+backward, {nodes:,}", ratios(medians(runs, 7)))


def inference(folder: Path | None, nodes: int) -> dict[str, Any]:
    """A forward pass of the whole model, each in a process of its own for its peak memory."""
    row: dict[str, Any] = {"nodes": nodes}
    with tempfile.TemporaryDirectory() as weights:  # so that ours does not import theirs
        if folder is None:
            torch.manual_seed(0)
            ours = FLAREOperator(0, 1, hidden_channels=C, heads=H, num_latents=M)
        else:
            ours = models(folder, 8)[1]
        ours.save(weights)
        places = {"ours": Path(weights), "authors": folder}
        for name, place in places.items():
            if place is None:
                continue
            command = [sys.executable, __file__, "--worker", name, "--nodes", str(nodes)]
            command += ["--authors", str(place)]
            done = subprocess.run(command, capture_output=True, text=True)
            if done.returncode:
                raise SystemExit(f"the process for '{name}' failed:\n{done.stderr[-2000:]}")
            found = json.loads(done.stdout.splitlines()[-1])
            row |= {f"{name}_{key}": value for key, value in found.items()}
    if folder is not None:
        assert abs(row["authors_norm"] / row["ours_norm"] - 1) < 1e-3, "the results differ"
        row["authors_over_ours"] = row["authors_s"] / row["ours_s"]
        row["ours_memory_over_authors"] = row["ours_peak_gb"] / row["authors_peak_gb"]
    return show(f"forward of the operator, {nodes:,} nodes", row)


def peak_memory() -> float:
    """Peak memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.is_file():  # on Linux, getrusage would include the memory of the parent process
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return 1024 * float(fields["VmHWM"].split()[0])
    import resource  # not on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def worker(name: str, folder: Path, nodes: int) -> None:
    """A forward pass in this process; print seconds, peak memory and the norm of the result.

    The folder has the weights of our model, or the authors' code.
    """
    model = FLAREOperator.load(folder) if name == "ours" else models(folder, 8)[0]
    pos = torch.rand(nodes, 3, generator=torch.Generator().manual_seed(0))
    options = {"chunk_size": CHUNK} if name == "ours" else {}
    with torch.no_grad():
        output(model, pos[:2_000], **options)  # loads the compiled loops
        start = time.perf_counter()
        out = output(model, pos, **options)
        seconds = time.perf_counter() - start
    peak = peak_memory()
    print(json.dumps({"s": seconds, "peak_gb": peak / 1e9, "norm": float(out.norm())}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parts = ["mixer", "batch", "operator", "physicsnemo", "million", "ten-million"]
    parser.add_argument("--authors", type=Path, help="checkout of vpuri3/FLARE.py")
    parser.add_argument("--only", nargs="+", choices=parts, default=parts[:-1])
    parser.add_argument("--no-compile", action="store_true", help="skip the compiled model")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--worker", choices=["ours", "authors"], help=argparse.SUPPRESS)
    parser.add_argument("--nodes", type=int, default=50_000)
    given = parser.parse_args()
    if given.worker:
        worker(given.worker, given.authors, given.nodes)
        return
    machine = {
        "processor": processor(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "sizes": {"channels": C, "heads": H, "latents": M},
    }
    print(machine)
    results: dict[str, Any] = {"machine": machine}
    if "mixer" in given.only:
        results["mixer"] = mixer(MESHES)
    if "batch" in given.only:
        results["batch"] = batch()
    if "operator" in given.only and given.authors:
        results["operator"] = operator(given.authors, given.nodes, not given.no_compile)
    if "physicsnemo" in given.only:
        results["physicsnemo"] = physicsnemo(given.nodes)
    if "million" in given.only:
        results["million"] = inference(given.authors, 1_000_000)
    if "ten-million" in given.only:
        results["ten_million"] = inference(None, 10_000_000)
    if given.json:
        given.json.parent.mkdir(parents=True, exist_ok=True)
        given.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
