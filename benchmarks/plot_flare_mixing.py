"""Plot the JSON of ``flare_mixing.py``: time against nodes, and the ratios.

    python benchmarks/plot_flare_mixing.py RESULTS.json PICTURE.png

Needs matplotlib, a dependency of PyVista.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt

COLORS = {"ours": "#c0392b", "sdpa": "#34495e"}
LABELS = {
    "sdpa": "two SDPA calls",
    "authors": "authors' model, eager",
    "authors_compiled": "authors' model, compiled",
    "padded_sdpa": "padded batch, two SDPA calls",
    "one_by_one": "ours, mesh by mesh",
    "theirs": "PhysicsNeMo's layer",
}


def draw_mixer(axis, rows: dict) -> None:
    sizes = sorted(int(name) for name in rows if name.isdigit())  # single meshes
    for part, style in (("forward", "--"), ("forward_backward", "-")):
        for name in ("sdpa", "ours"):
            seconds = [rows[str(n)][part][f"{name}_s"] for n in sizes]
            label = f"{LABELS.get(name, 'flare_mesh')}, {part.replace('_', ' + ')}"
            axis.loglog(sizes, seconds, style, marker="o", ms=4, color=COLORS[name], label=label)
    axis.set(xlabel="nodes", ylabel="seconds", title="Mixer, one mesh")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)


def bars_of(results: dict) -> list[tuple[str, float]]:
    """Labels of the other implementations, and their times over ours."""
    named = [
        ("mixer, 50k nodes", results.get("mixer", {}).get("50000", {}).get("forward_backward"))
    ]
    named += [
        ("batch of 8 meshes", results.get("batch")),
        ("training step, 50k nodes", results.get("operator")),
        ("layer, 50k nodes", results.get("physicsnemo")),
        ("forward, 1M nodes", results.get("million")),
    ]
    bars = []
    for title, row in named:
        for key, value in (row or {}).items():
            name = key.removesuffix("_over_ours")
            if name != key:
                bars.append((f"{LABELS[name]}\n({title})", value))
    return bars


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("results", type=Path)
    parser.add_argument("picture", type=Path)
    given = parser.parse_args()
    results = json.loads(given.results.read_text())
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), width_ratios=(1, 1.1))
    draw_mixer(left, results["mixer"])
    bars = bars_of(results)[::-1]
    drawn = right.barh([b[0] for b in bars], [b[1] for b in bars], color=COLORS["sdpa"])
    right.bar_label(drawn, fmt="%.1f", padding=3, fontsize=9)
    right.axvline(1, color=COLORS["ours"])
    right.set(xlabel="time over that of flare_mesh", title="Other implementations of the same")
    right.tick_params(axis="y", labelsize=8)
    right.margins(x=0.12)
    machine = results["machine"]
    figure.suptitle(
        f"{machine['threads']} threads, {machine['processor']}, torch {machine['torch']}, float32, "
        f"C = {machine['sizes']['channels']}, H = {machine['sizes']['heads']}, "
        f"M = {machine['sizes']['latents']}",
        fontsize=9,
    )
    figure.tight_layout()
    figure.savefig(given.picture, dpi=110)


if __name__ == "__main__":
    main()
