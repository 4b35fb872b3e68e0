"""The ablations of the FLARE paper (arXiv 2508.12594): one option against another.

    python benchmarks/ablations.py heads --data elasticity_flare --epochs 500
    python benchmarks/ablations.py blocks --data elasticity_cpu --seconds 60 --seeds 3

Each is a configuration of ``flare-mesh benchmark``, which is written into the folder as
``ablation.yaml`` and can be run again by ``flare-mesh benchmark --config``. Beside the benchmark's
tables, ``ablation.png`` has the error against the first option, with a line for each value of the
second, and the spread over the seeds. The data's configuration gives all other options. The paper
has C = 64, 8 blocks, 8 heads, 64 latents, and projections of depth 3 on Elasticity.
"""

import argparse
import csv
from pathlib import Path
from typing import Any

import yaml

from flare_mesh.commands.benchmark import benchmark

_LATENTS = ("num_latents", (16, 32, 64, 128))
# Name of the ablation: the option on the axis and its values, the option of the lines and its.
SWEEPS: dict[str, tuple[tuple[str, tuple], tuple[str, tuple]]] = {
    "heads": (("heads", (1, 2, 4, 8, 16, 32)), _LATENTS),
    "kv_layers": (("kv_layers", (0, 1, 2, 3, 4, 5)), _LATENTS),
    "ffn_layers": (("ffn_layers", (0, 1, 2, 3, 4, 5)), _LATENTS),
    "blocks": (("num_layers", (1, 2, 4, 8, 12, 16, 20)), _LATENTS),
    "shared_latents": (("num_layers", (1, 2, 4, 8)), ("shared_latents", (False, True))),
    "latent_blocks": (("num_layers", (1, 2, 4, 8)), ("latent_blocks", (0, 1, 2, 4, 8))),
    "passes": (("passes", (1, 2, 4)), ("num_layers", (1, 2, 4))),
    "queries": (("num_layers", (1, 2, 4, 8)), ("queries", ("fixed", "synthesized"))),
}


def models(name: str) -> dict[str, dict[str, Any]]:
    """The models of an ablation, by label."""
    (axis, values), (line, lines) = SWEEPS[name]
    return {
        _label(axis, value, line, other): {
            "name": "flare",
            "options": {axis: value, line: other},
        }
        for other in lines
        for value in values
    }


def _label(axis: str, value: Any, line: str, other: Any) -> str:
    return f"{line}-{other}_{axis}-{value}"


def draw(name: str, table: list[dict[str, str]], path: Path) -> None:
    """Draw the error against the first option."""
    from matplotlib.figure import Figure

    (axis, values), (line, lines) = SWEEPS[name]
    rows = {row["model"]: row for row in table if row.get("relative_l2")}
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for other in lines:
        found = [(v, rows.get(_label(axis, v, line, other))) for v in values]
        points = [(v, row) for v, row in found if row is not None]
        if points:
            axes.errorbar(
                [v for v, _ in points],
                [float(row["relative_l2"]) for _, row in points],
                yerr=[float(row["relative_l2_std"] or 0) for _, row in points],
                marker="o",
                capsize=3,
                label=f"{line} = {other}",
            )
    axes.set(xlabel=axis, ylabel="relative L2 error, test cases", yscale="log")
    axes.set_xscale("symlog", base=2, linthresh=1)
    axes.set_xticks(values, [str(v) for v in values])
    axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("name", choices=[*SWEEPS])
    parser.add_argument("--data", default="elasticity_flare", help="configuration of the data")
    parser.add_argument("--epochs", type=int, help="length of each run")
    parser.add_argument("--seconds", type=float, help="time of each run, instead of epochs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, help="folder; runs/ablation_NAME by default")
    given = parser.parse_args()
    out = given.out or Path(f"runs/ablation_{given.name}")
    options: dict[str, Any] = {"data": given.data, "models": models(given.name), "out": str(out)}
    options |= {"seeds": given.seeds, "epochs": given.epochs, "seconds": given.seconds}
    options = {key: value for key, value in options.items() if value is not None}
    out.mkdir(parents=True, exist_ok=True)
    (out / "ablation.yaml").write_text(yaml.safe_dump(options, sort_keys=False))
    benchmark(**options)
    with (out / "table.csv").open(newline="") as file:
        draw(given.name, list(csv.DictReader(file)), out / "ablation.png")


if __name__ == "__main__":
    main()
