"""Train a language model of causal FLARE layers on a text, and let it write on.

    python examples/text_model.py [FILE ...] [--minutes 3] [--prompt "The mesh "]

The tokens are bytes. A batch is a ragged row of pieces of the text; the last twentieth of the text
is held out. The error is in bits per byte, beside that of two simple baselines: the shares of the
bytes, and of pairs of bytes, in the training text. At the end the model continues the prompt, one
token at a time from a state of fixed size, and the same tokens are read again in one call: both
must choose the same.
"""

import argparse
import math
import time
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from flare_mesh.models import CausalLM

PIECES, LENGTHS = 8, (64, 256)
RATE, WARM_UP = 3e-3, 0.05


def read_bytes(files: list[Path]) -> Tensor:
    """Bytes of the files, one after another."""
    return torch.tensor(list(b"\n".join(file.read_bytes() for file in files)), dtype=torch.int64)


def draw(text: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Tokens, the tokens after them, and the offsets of pieces of the text of unequal length."""
    counts = torch.randint(*LENGTHS, (PIECES,), generator=generator).clamp(max=len(text) - 1)
    starts = [int(torch.randint(len(text) - int(n), (1,), generator=generator)) for n in counts]
    pieces = [text[s : s + int(n) + 1] for s, n in zip(starts, counts, strict=True)]
    ptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return torch.cat([p[:-1] for p in pieces]), torch.cat([p[1:] for p in pieces]), ptr


def baselines(train: Tensor, held_out: Tensor) -> dict[str, float]:
    """Bits per byte of the shares of bytes and of pairs of bytes, each count plus a little."""
    single = torch.bincount(train, minlength=256).double() + 0.1
    shares = single / single.sum()
    pairs = torch.bincount(train[:-1] * 256 + train[1:], minlength=256 * 256).double()
    pairs = pairs.view(256, 256) + 10 * shares
    pairs = pairs / pairs.sum(1, keepdim=True)
    after = held_out[1:]
    return {
        "bytes": float(-shares[after].log2().mean()),
        "pairs of bytes": float(-pairs[held_out[:-1], after].log2().mean()),
    }


@torch.no_grad()
def bits_per_byte(model: CausalLM, text: Tensor) -> float:
    """Mean of -log2 of the share that the model gives to each byte after the first."""
    return float(cross_entropy(model(text[:-1]), text[1:])) / math.log(2)


def train(
    model: CausalLM, text: Tensor, minutes: float, steps: int | None, generator: torch.Generator
) -> int:
    """Train for some time or steps, with a cosine schedule over them; the number of steps."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, betas=(0.9, 0.95))
    begin, step = time.monotonic(), 0

    def progress() -> float:
        return step / steps if steps else (time.monotonic() - begin) / (60 * minutes)

    while (done := progress()) < 1:
        rate = min(done / WARM_UP, 0.5 + 0.5 * math.cos(math.pi * done))
        for group in optimizer.param_groups:
            group["lr"] = RATE * max(rate, 0.01)
        tokens, after, ptr = draw(text, generator)
        loss = cross_entropy(model(tokens, ptr=ptr), after)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        step += 1
        if step % 50 == 0:
            bits = loss.item() / math.log(2)
            print(f"step {step}, {100 * done:.0f} % done: {bits:.2f} bits per byte")
    return step


def check_reading(model: CausalLM, prompt: Tensor, length: int) -> Tensor:
    """The likeliest continuation, found token by token and confirmed in one call.

    Raises:
        RuntimeError: If the two differ.
    """
    new = model.generate(prompt, length, temperature=0)
    with torch.no_grad():
        scores = model(torch.cat([prompt, new]))[len(prompt) - 1 : -1]
    # Where two tokens are as likely to six digits, rounding may choose.
    chosen = scores.gather(1, new[:, None])[:, 0]
    if not bool((chosen >= scores.amax(1) - 1e-4).all()):
        raise RuntimeError("reading token by token and in one call gave other texts")
    return new


def main(
    files: list[Path],
    minutes: float,
    prompt: str,
    *,
    steps: int | None = None,
    save: Path | None = None,
) -> float:
    """Train, report and write; the bits per byte on the held-out text."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    text = read_bytes(files)
    if len(text) < 10_000 or not prompt:
        raise SystemExit(
            f"expected a text of at least 10,000 bytes and a prompt (got {len(text):,} bytes and "
            f"{prompt!r})"
        )
    split = len(text) * 19 // 20
    known, held_out = text[:split], text[split:][:20_000]
    model = CausalLM(256, channels=128, num_layers=4, heads=8, num_latents=32)
    size = sum(p.numel() for p in model.parameters())
    print(f"{len(known):,} bytes to train on, a model of {size:,} parameters")
    count = train(model, known, minutes, steps, generator)
    bits = bits_per_byte(model, held_out)
    print(f"held-out text after {count} steps: {bits:.2f} bits per byte")
    for name, value in baselines(known, held_out).items():
        print(f"  shares of {name}: {value:.2f}")
    start = torch.tensor(list(prompt.encode()), dtype=torch.int64)
    check_reading(model, start, 200)
    begin = time.perf_counter()
    new = model.generate(start, 400, temperature=0.7, generator=generator)
    each = (time.perf_counter() - begin) / len(new)
    print(f"{1000 * each:.1f} ms a token; token by token and in one call agree\n")
    print(prompt + bytes(new.tolist()).decode(errors="replace"))
    if save is not None:
        model.save(save)
    return bits


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    here = Path(__file__).resolve().parents[1]
    own = sorted((here / "docs").glob("*.md"))
    parser.add_argument("files", nargs="*", type=Path, help="texts; by default the project's pages")
    parser.add_argument("--minutes", type=float, default=3.0, help="time for training")
    parser.add_argument("--steps", type=int, help="steps of training, instead of a time")
    parser.add_argument("--prompt", default="The mesh ", help="text to continue")
    parser.add_argument("--save", type=Path, help="folder for the model")
    given = parser.parse_args()
    main(given.files or own, given.minutes, given.prompt, steps=given.steps, save=given.save)
