"""Compare `flare-mesh init` and `fit` with the authors' FLARE in the same time, or epochs.

    python benchmarks/against_reference.py --authors DIR [--sets darcy_1000,elasticity_1000]
        [--budget 30m | --epochs 100] [--size medium] [--seeds 3]

Ours is trained by the configuration that ``init`` writes. The authors' model (a checkout of
vpuri3/FLARE.py, which needs einops) has the same channels, layers, heads and latents, the same
cases, split and loss, and the authors' inputs, optimiser and schedule: coordinates that are not
normalised, batches of 2 whole cases, AdamW with 1e-3 in one cycle. With ``--budget``, both are
trained for that time; with ``--epochs``, both for as many passes over the cases, all nodes in each.
Both hold out the same cases for validation.

Sets and runs are stored as those of ``benchmarks/recipe.py``; ``reference.json`` and
``reference.md`` in ``--out`` are written after every run. On a machine in use, compare the
processor times: they count all of the command, but no waiting.
"""

import argparse
import json
import os
import statistics
from pathlib import Path
from typing import Any

from recipe import initial_config, measuring_alone
from recipe_runs import changed, machine, train
from recipe_sets import SETS
from recipe_table import table

from flare_mesh.training.sizes import SIZES

_SHARED = ("hidden_channels", "num_layers", "heads", "num_latents")
_LABELS = {"ours": "flare-mesh", "theirs": "authors' FLARE"}


def configurations(config: dict[str, Any], given: argparse.Namespace) -> dict[str, Any]:
    """The configurations of both models."""
    both: dict[str, Any] = {}
    if given.epochs:
        both = {
            "budget": None,
            "trainer.max_epochs": given.epochs,
            "data.sample_nodes": None,
        }
    folder = str(given.authors.resolve())
    theirs = {
        "model.name": "reference_model:ReferenceFLARE",
        "model.size": None,
        "model.options": {**{key: SIZES[given.size][key] for key in _SHARED}, "folder": folder},
        "model.scale_by": None,
        "model.normalizers": {"pos": "identity"},
        "model.optimizer": {"name": "adamw", "lr": 1e-3, "weight_decay": 1e-5},
        "model.schedule": {"name": "one_cycle"},
        "data.features": None,
        "data.sample_nodes": None,
        "data.batch_size": 2,
        "data.options.weights": False,
    }
    return {
        "ours": changed(config, {**both, "model.size": given.size}),
        "theirs": changed(config, {**both, **theirs}),
    }


def measure_set(name: str, results: dict[str, Any], given: argparse.Namespace) -> None:
    """Train both models with every seed."""
    folder = SETS[name].prepare(given.data / name, given.workers)
    out = given.out / name
    configs = configurations(initial_config(name, folder, out, given.budget), given)
    found = results["sets"][name] = {label: [] for label in configs}
    for seed in range(given.seeds):
        for label, config in configs.items():
            run = train(config, out / label / f"seed{seed}", seed, "--trust-code", "--no-baselines")
            if run["failed"]:
                raise SystemExit(f"{name}, {_LABELS[label]}, seed {seed}: {run['failed']}")
            found[label].append({**run["summary"], "cpu_seconds": run["cpu_seconds"]})
            for suffix, text in (
                (".json", json.dumps(results, indent=1)),
                (".md", report(results)),
            ):
                (given.out / f"reference{suffix}").write_text(text + "\n")
            error = statistics.mean(run["summary"]["test_relative_l2"].values())
            print(f"{name}, {_LABELS[label]}, seed {seed}: {error:.5f}", flush=True)


def report(results: dict[str, Any]) -> str:
    """Mean errors of both models over the seeds."""
    rows = []
    for name, found in results["sets"].items():
        means = {}
        for label, runs in found.items():
            errors = [statistics.mean(run["test_relative_l2"].values()) for run in runs]
            if not errors:
                continue
            means[label] = statistics.mean(errors)
            spread = statistics.stdev(errors) if len(errors) > 1 else 0.0
            row = [name, _LABELS[label], f"{means[label]:.5f} ± {spread:.5f}"]
            for key in ("epochs", "steps", "parameters", "train_seconds", "cpu_seconds"):
                row.append(f"{statistics.mean(run[key] for run in runs):,.0f}")
            rows.append([*row, f"{means[label] / means['ours']:.2f}"])
    about = results["machine"]
    length = (results["epochs"] and f"{results['epochs']} epochs") or results["budget"]
    return (
        f"{about['processor']}, {about['cores']} cores, torch {about['torch']}; {length} each, "
        f"{results['seeds']} seeds, size {results['size']}.\n\n"
        + table(
            "set | model | relative L2 | epochs | steps | parameters | training, s | "
            "processor time of the command, s | over ours",
            rows,
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--authors", type=Path, required=True, help="checkout of vpuri3/FLARE.py")
    parser.add_argument("--sets", default="darcy_1000,elasticity_1000")
    parser.add_argument("--budget", default="30m", help="time of each training")
    parser.add_argument("--epochs", type=int, help="passes of each training, instead of a time")
    parser.add_argument("--size", choices=[*SIZES], default="medium")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--data", type=Path, default=Path("data/recipe"))
    parser.add_argument("--out", type=Path, default=Path("runs/reference"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="of generation")
    given = parser.parse_args()
    names = given.sets.split(",")
    allowed = [name for name in SETS if name.startswith(("darcy", "elasticity"))]
    if not {*names} <= {*allowed}:
        raise SystemExit(f"--sets: expected sets of {', '.join(allowed)} (got {given.sets})")
    # The training processes import the authors' model.
    os.environ["PYTHONPATH"] = os.pathsep.join(
        filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])
    )
    given.out.mkdir(parents=True, exist_ok=True)
    shown = ("budget", "epochs", "size", "seeds")
    results: dict[str, Any] = {
        "machine": machine(),
        **{key: getattr(given, key) for key in shown},
        "sets": {},
    }
    with measuring_alone():
        for name in names:
            measure_set(name, results, given)
    print((given.out / "reference.md").read_text())


if __name__ == "__main__":
    main()
