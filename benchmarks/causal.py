"""Time of causal FLARE against causal softmax attention of the same width, and of its decode.

    python benchmarks/causal.py [--nodes 1024 4096 16384] [--latents 64] [--heads 8] [--width 8]

Forward and backward, one sequence, float32; the two run alternately and the medians are compared.
FLARE's output is first compared with two softmaxes over all tokens so far in float64.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from flare_mesh.ops import flare_causal_attention


def seconds(function: Callable[[], object]) -> float:
    """Time of one call."""
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def check(heads: int, latents: int, width: int, nodes: int = 300) -> None:
    """Compare with the definition.

    Raises:
        SystemExit: If an output differs by more than 1e-5.
    """
    query = torch.randn(heads, latents, width)
    key, value = torch.randn(2, nodes, heads, width)
    got = flare_causal_attention(query, key, value, ptr=torch.tensor([0, nodes]))
    q, k, v = query.double(), key.double(), value.double()
    scores = torch.einsum("hmd,thd->htm", q, k)
    past = torch.ones(nodes, nodes, dtype=torch.bool).tril()[..., None]
    over = scores[:, None].expand(-1, nodes, -1, -1).masked_fill(~past, -torch.inf)
    latent = torch.einsum("htsm,she->htme", over.softmax(2), v)
    want = torch.einsum("htm,htme->the", scores.softmax(-1), latent)
    error = float((got - want).abs().max())
    if error > 1e-5:
        raise SystemExit(f"causal FLARE differs from its definition by {error:.1e}")


def compare(heads: int, latents: int, width: int, nodes: int, repeat: int) -> tuple[float, float]:
    """Median times of FLARE and of softmax attention, forward and backward, s."""
    query = torch.randn(heads, latents, width, requires_grad=True)
    tokens = [torch.randn(nodes, heads, width, requires_grad=True) for _ in range(2)]
    dense = [torch.randn(1, heads, nodes, width, requires_grad=True) for _ in range(3)]
    ptr = torch.tensor([0, nodes])

    def flare() -> tuple[Tensor, ...]:
        out = flare_causal_attention(query, *tokens, ptr=ptr)
        return torch.autograd.grad(out.sum(), (query, *tokens))

    def softmax() -> tuple[Tensor, ...]:
        q, k, v = dense
        out = scaled_dot_product_attention(q, k, v, is_causal=True)
        return torch.autograd.grad(out.sum(), dense)

    flare(), softmax()
    pairs = [(seconds(flare), seconds(softmax)) for _ in range(repeat)]
    ours, theirs = zip(*pairs, strict=True)
    return statistics.median(ours), statistics.median(theirs)


@torch.no_grad()
def decode_time(heads: int, latents: int, width: int, nodes: int) -> float:
    """Median time of a token after ``nodes`` tokens, s."""
    query = torch.randn(heads, latents, width)
    key, value = torch.randn(2, nodes + 200, heads, width)
    _, state = flare_causal_attention(
        query, key[:nodes], value[:nodes], ptr=torch.tensor([0, nodes]), return_state=True
    )
    times, one = [], torch.tensor([0, 1])
    for t in range(nodes, nodes + 200):
        begin = time.perf_counter()
        _, state = flare_causal_attention(
            query, key[t : t + 1], value[t : t + 1], ptr=one, state=state, return_state=True
        )
        times.append(time.perf_counter() - begin)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--nodes", type=int, nargs="+", default=[1024, 4096, 16384])
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--latents", type=int, default=64)
    parser.add_argument("--width", type=int, default=8, help="channels of a head")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    given = parser.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(given.threads)
    sizes = given.heads, given.latents, given.width
    check(*sizes)
    print("| tokens | causal FLARE, ms | softmax / FLARE | decode of a token, us |")
    print("|---:|---:|---:|---:|")
    for nodes in given.nodes:
        ours, theirs = compare(*sizes, nodes, given.repeat)
        each = decode_time(*sizes, nodes)
        print(f"| {nodes:,} | {1e3 * ours:.1f} | {theirs / ours:.1f} | {1e6 * each:.0f} |")


if __name__ == "__main__":
    main()
