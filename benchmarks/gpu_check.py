"""Test and measure the mixer on a CUDA device in ten minutes: ``make gpu-check``.

    python benchmarks/gpu_check.py [--json FILE]

First it runs the tests that need a GPU. Then it measures the mixer beside two SDPA calls on the
same tensors, and causal FLARE beside causal SDPA of the same width. In the time that is left it
tries other block sizes of the Triton kernels. Results are compared before they are timed: with
float64 up to 50,000 nodes, and with the two calls in float32 beyond; causal FLARE with float64 on
the first 4,096 tokens. A kernel that fails is a line of the table. The figures are written to one
file, by default ``benchmarks/results/DEVICE.json``. Without a CUDA device the exit code is 2, and 1
if a test or a comparison fails.
"""

import argparse
import json
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention as sdpa

from flare_mesh import flare_attention
from flare_mesh.ops import flare_causal_attention

HERE = Path(__file__).resolve().parent
H, M, D = 8, 64, 8
SIZES = (1_000, 10_000, 50_000, 200_000, 1_000_000)
DTYPES = (torch.float32, torch.bfloat16)
TEST_SECONDS = 300
SECONDS = 570  # of all, after which no further block sizes are timed
CAUSAL = (16, 32, 32)  # heads, latents, channels of a head
CAUSAL_SIZES = (2_048, 16_384, 65_536)
_CAUSAL_REFERENCE = 4_096
_LARGEST_REFERENCE = 50_000
_TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2}


@dataclass(frozen=True)
class Problem:
    """Tensors of one mesh: query [H, M, D]; key, value and gradient [N, H, D]."""

    query: Tensor
    key: Tensor
    value: Tensor
    upstream: Tensor
    ptr: Tensor

    @property
    def leaves(self) -> tuple[Tensor, Tensor, Tensor]:
        return self.query, self.key, self.value


def problem(
    nodes: int, dtype: torch.dtype, device: str, sizes: tuple[int, int, int] = (H, M, D)
) -> Problem:
    heads, latents, width = sizes
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator).to(device, dtype)

    query = (0.3 * draw(heads, latents, width)).requires_grad_()
    key, value, upstream = (draw(nodes, heads, width) for _ in range(3))
    ptr = torch.tensor([0, nodes], device=device)
    return Problem(query, key.requires_grad_(), value.requires_grad_(), upstream, ptr)


def two_sdpa_calls(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    query, key, value = query[None], key.transpose(0, 1)[None], value.transpose(0, 1)[None]
    return sdpa(key, query, sdpa(query, key, value, scale=1.0), scale=1.0)[0].transpose(0, 1)


def results(mix: Callable[..., Tensor], given: Problem) -> list[Tensor]:
    """Output and the gradients for query, key and value."""
    out = mix(*given.leaves)
    return [out.detach(), *torch.autograd.grad(out, given.leaves, given.upstream)]


def expected(given: Problem) -> list[Tensor]:
    """The same by two SDPA calls in float64, or in float32 for a large mesh."""
    exact = torch.float32 if len(given.key) > _LARGEST_REFERENCE else torch.float64
    leaves = [leaf.detach().to(exact).requires_grad_() for leaf in given.leaves]
    return results(two_sdpa_calls, Problem(*leaves, given.upstream.to(exact), given.ptr))


def largest_error(got: Sequence[Tensor], want: Sequence[Tensor]) -> float:
    """Largest relative error of output and gradients, in the norm."""
    pairs = zip(got, want, strict=True)
    return max(float((a.double() - b.double()).norm() / b.double().norm()) for a, b in pairs)


def median_seconds(run: Callable[[], Any], device: str, repeat: int = 15) -> float:
    seconds = []
    for turn in range(repeat + 3):
        _wait(device)
        start = time.perf_counter()
        run()
        _wait(device)
        if turn >= 3:
            seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def table(
    device: str,
    backends: Sequence[str],
    *,
    sizes: Sequence[int] = SIZES,
    dtypes: Sequence[torch.dtype] = DTYPES,
    repeat: int = 15,
) -> list[dict[str, Any]]:
    """Errors and times of the backends, and their speed over two SDPA calls."""
    rows: list[dict[str, Any]] = []
    for dtype in dtypes:
        for nodes in sizes:
            given = problem(nodes, dtype, device)
            want = expected(given)
            baseline: dict[str, float] = {}
            for backend in ("two calls", *backends):
                mix = two_sdpa_calls if backend == "two calls" else _mixer(backend, given.ptr)
                row: dict[str, Any] = {
                    "dtype": str(dtype).removeprefix("torch."),
                    "nodes": nodes,
                    "backend": backend,
                    "correct": False,
                }
                try:
                    row["error"] = largest_error(results(mix, given), want)
                    row["correct"] = row["error"] < _TOLERANCE[dtype]
                    if row["correct"]:
                        seconds = _times(mix, given, device, repeat)
                        baseline = baseline or seconds
                        row |= _figures(seconds, baseline)
                except Exception as error:  # Triton's are of many types
                    row |= {"correct": False, "refused": _line(error)}
                rows.append(row)
                print(", ".join(f"{k} {_text(v)}" for k, v in row.items()), flush=True)
    return rows


def _figures(seconds: dict[str, float], baseline: dict[str, float]) -> dict[str, float]:
    """Times, and speeds over the baseline where it could be timed."""
    row = {f"{name}_ms": 1e3 * value for name, value in seconds.items()}
    return row | {f"{n}_speed": baseline[n] / seconds[n] for n in baseline}


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"[:200]


def causal_table(
    device: str,
    backends: Sequence[str],
    *,
    sizes: Sequence[int] = CAUSAL_SIZES,
    dtypes: Sequence[torch.dtype] = DTYPES,
    repeat: int = 15,
) -> list[dict[str, Any]]:
    """Errors and times of causal FLARE, and its speed over causal SDPA of the same width."""
    rows: list[dict[str, Any]] = []
    for dtype in dtypes:
        for tokens in sizes:
            given = problem(tokens, dtype, device, CAUSAL)
            # The first tokens do not depend on the others, nor do gradients of their outputs.
            first = min(tokens, _CAUSAL_REFERENCE)
            leaves = [given.query, given.key[:first], given.value[:first]]
            leaves = [leaf.detach().double().requires_grad_() for leaf in leaves]
            upstream = given.upstream.clone()
            upstream[first:] = 0
            start = torch.tensor([0, first], device=device)
            exact = Problem(*leaves, upstream[:first].double(), start)
            want = results(_causal("reference", start), exact)
            checked = replace(given, upstream=upstream)
            baseline = _times(_causal_sdpa, given, device, repeat)
            for backend in backends:
                row: dict[str, Any] = {
                    "dtype": str(dtype).removeprefix("torch."),
                    "tokens": tokens,
                    "backend": backend,
                    "correct": False,
                }
                mix = _causal(backend, given.ptr)
                try:
                    out, of_query, *of_tokens = results(mix, checked)
                    got = [out[:first], of_query, *(t[:first] for t in of_tokens)]
                    row["error"] = largest_error(got, want)
                    row["correct"] = row["error"] < _TOLERANCE[dtype]
                    if row["correct"]:
                        row |= _figures(_times(mix, given, device, repeat), baseline)
                except Exception as error:  # as above
                    row |= {"correct": False, "refused": _line(error)}
                rows.append(row)
                print(", ".join(f"{k} {_text(v)}" for k, v in row.items()), flush=True)
    return rows


def _causal(backend: str, ptr: Tensor) -> Callable[..., Tensor]:
    scale = CAUSAL[2] ** -0.5
    return lambda *leaves: flare_causal_attention(*leaves, ptr=ptr, scale=scale, backend=backend)


def _causal_sdpa(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Softmax attention; the query takes part, so that it has a gradient."""
    key, value = key.transpose(0, 1)[None], value.transpose(0, 1)[None]
    out = sdpa(key + query[None, :, :1], key, value, is_causal=True)
    return out[0].transpose(0, 1)


def _mixer(backend: str, ptr: Tensor) -> Callable[..., Tensor]:
    return lambda *leaves: flare_attention(*leaves, ptr=ptr, backend=backend)


def _times(
    mix: Callable[..., Tensor], given: Problem, device: str, repeat: int
) -> dict[str, float]:
    with torch.no_grad():
        forward = median_seconds(lambda: mix(*given.leaves), device, repeat)
    both = median_seconds(lambda: results(mix, given), device, repeat)
    return {"forward": forward, "forward_backward": both}


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def tune(deadline: float, nodes: int = 200_000, device: str = "cuda") -> list[dict[str, Any]]:
    """Times of the Triton kernels with other numbers of nodes and warps in a block.

    What is not timed before the deadline, a time of ``time.monotonic``, is left out.
    """
    from flare_mesh.ops import triton_kernels

    chosen = triton_kernels._tiles
    rows = []
    for dtype in DTYPES:
        given = problem(nodes, dtype, device)
        want, mix = expected(given), _mixer("triton", given.ptr)
        for pass_ in ("encode", "decode", "backward"):
            for block, warps in ((None, None), *((b, w) for b in (32, 64, 128) for w in (4, 8))):
                if time.monotonic() > deadline:
                    return rows

                def tiles(name: str, *sizes: Any, p=pass_, b=block, w=warps) -> Any:
                    own = chosen(name, *sizes)
                    return own if name != p or b is None else own._replace(nodes=b, warps=w)

                name = str(dtype).removeprefix("torch.")
                row = {"pass": pass_, "dtype": name, "nodes": block, "warps": warps}
                try:
                    with patch.object(triton_kernels, "_tiles", tiles):
                        row["correct"] = largest_error(results(mix, given), want) < 3e-2
                        if row["correct"]:
                            row |= _figures(_times(mix, given, device, 7), {})
                except Exception as error:  # too many registers or too much shared memory
                    row["refused"] = _line(error)
                rows.append(row)
                print(", ".join(f"{k} {_text(v)}" for k, v in row.items()), flush=True)
    return rows


def run_tests() -> dict[str, Any]:
    """Exit code and last line of the tests that need a GPU."""
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-n0", "-q", "tests"]
    try:
        done = subprocess.run(
            command, cwd=HERE.parent, capture_output=True, text=True, timeout=TEST_SECONDS
        )
    except subprocess.TimeoutExpired:
        return {"exit_code": None, "summary": f"not finished in {TEST_SECONDS} s"}
    print(done.stdout[-4_000:], flush=True)
    lines = done.stdout.strip().splitlines()
    return {"exit_code": done.returncode, "summary": lines[-1] if lines else ""}


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(argv)
    if not torch.cuda.is_available():
        print(
            "error: expected a CUDA device (torch finds none); run this on a machine with one",
            file=sys.stderr,
        )
        return 2
    device = torch.cuda.get_device_properties(0)
    machine = {"device": device.name, "torch": torch.__version__, "cuda": torch.version.cuda}
    print(machine, flush=True)
    found = {"machine": machine, "sizes": {"heads": H, "latents": M, "channels": H * D}}
    path = given.json or HERE / "results" / f"{_slug(device.name)}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + SECONDS
    # Written after each step, so that a crash of a kernel leaves what was measured before.
    for name, step in (
        ("tests", run_tests),
        ("mixer", lambda: table("cuda", ("sdpa", "triton"))),
        ("causal", lambda: causal_table("cuda", ("triton",))),
        ("tiles", lambda: tune(deadline)),
    ):
        found[name] = step()
        path.write_text(json.dumps(found, indent=2) + "\n")
    print(f"figures: {path}")
    correct = all(row["correct"] for row in (*found["mixer"], *found["causal"]))
    return 0 if correct and found["tests"]["exit_code"] == 0 else 1


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


if __name__ == "__main__":
    sys.exit(main())
