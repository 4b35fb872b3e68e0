"""Measure what `flare-mesh init` and `flare-mesh fit` reach on generated sets, and the baselines.

    python benchmarks/recipe.py [--sets brackets,plates] [--budget 5m] [--seeds 3]
        [--variants FILE.yaml] [--no-baselines] [--data data/recipe] [--out runs/recipe]

Each set is generated once below ``--data``. ``init`` writes its configuration, and ``fit`` trains
with it and nothing else, as a user would, once for each seed. All baselines have the same cases and
inputs. ``--variants`` is a YAML file of named changes of that configuration, each trained in the
same time:

    no_scale: {model.scale_by: null}
    fixed_queries: {model.options.queries: fixed}

``benchmarks/recipe_variants.yaml`` has the variants of ``docs/accuracy.md``.

``table.json`` and ``table.md`` in ``--out`` are written after every run. Finished runs are used
again if their configuration is the same; after a change of the code, choose another ``--out``. One
measurement runs at a time on a machine. Six sets with three seeds of 5 minutes take two hours.
"""

import argparse
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock, Timeout
from recipe_runs import changed, flare_mesh, machine, measure_baselines, train
from recipe_sets import SETS
from recipe_table import markdown, summarize

DEFAULT_SETS = "brackets,plates,obstacle_flow,darcy_100,elasticity_100,lpbf"


def initial_config(name: str, folder: Path, out: Path, budget: str) -> dict[str, Any]:
    """The configuration that ``flare-mesh init`` writes for a set."""
    file = out / "fit.yaml"
    options = [*SETS[name].init, "--budget", budget, "--out", str(file), "--overwrite"]
    flare_mesh("init", str(folder), *options, log=out / "init.log")
    return yaml.safe_load(file.read_text())


@contextmanager
def measuring_alone() -> Iterator[None]:
    """Context in which no other benchmark of this kind runs on the machine."""
    lock = FileLock(Path(tempfile.gettempdir()) / "flare_mesh_recipe.lock")
    try:
        with lock.acquire(timeout=0):
            yield
    except Timeout:
        raise SystemExit(
            f"{lock.lock_file}: another measurement runs on this machine; wait for its end"
        ) from None


def write_tables(results: Mapping[str, Any], out: Path) -> None:
    """Write both tables; a set without a finished run is left out."""
    for suffix, text in (
        (".json", json.dumps(results, indent=1) + "\n"),
        (".md", markdown(results)),
    ):
        partial = out / f".table{suffix}"
        partial.write_text(text)
        partial.replace(out / f"table{suffix}")


def measure_set(
    name: str, results: dict[str, Any], given: argparse.Namespace, variants: Mapping[str, Any]
) -> None:
    """Measure all configurations of a set, seed by seed, and write the tables after each run."""
    folder = SETS[name].prepare(given.data / name, given.workers)
    out = given.out / name
    config = initial_config(name, folder, out, given.budget)
    found: dict[str, Any] = {"baselines": {}, "variants": {}}
    results["sets"][name] = found
    runs: dict[str, list[dict[str, Any]]] = {variant: [] for variant in variants}
    for seed in range(given.seeds):
        for variant, overrides in variants.items():
            run = out / variant / f"seed{seed}"
            runs[variant].append(train(changed(config, overrides), run, seed))
            first = variant == "base" and not found["baselines"]
            if given.baselines and first and not runs[variant][-1]["failed"]:
                found["baselines"] = measure_baselines(run, given.seeds)
            found["variants"][variant] = summarize(runs[variant], found["baselines"])
            write_tables(results, given.out)
            print(f"{name}, {variant}, seed {seed}: {_outcome(runs[variant][-1])}", flush=True)


def _outcome(run: Mapping[str, Any]) -> str:
    if run["failed"]:
        return run["failed"]
    errors = run["summary"]["test_relative_l2"]
    return ", ".join(f"{field} {error:.4f}" for field, error in errors.items())


def read_variants(path: Path | None) -> dict[str, dict[str, Any]]:
    """The configuration itself, ``base``, and the changes of a file."""
    found = yaml.safe_load(path.read_text()) if path else {}
    if not isinstance(found, dict) or not all(isinstance(v, dict) for v in found.values()):
        raise SystemExit(f"{path}: expected names, each with a mapping of options to values")
    return {"base": {}, **found}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", default=DEFAULT_SETS, help=f"of {', '.join(SETS)}")
    parser.add_argument("--budget", default="5m", help="time of each training")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--variants", type=Path, help="YAML file of named changes")
    parser.add_argument("--baselines", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--data", type=Path, default=Path("data/recipe"))
    parser.add_argument("--out", type=Path, default=Path("runs/recipe"))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="of generation")
    given = parser.parse_args()
    names = given.sets.split(",")
    unknown = [name for name in names if name not in SETS]
    if unknown:
        raise SystemExit(f"--sets: unknown {unknown}; choose from {', '.join(SETS)}")
    variants = read_variants(given.variants)
    given.out.mkdir(parents=True, exist_ok=True)
    results: dict[str, Any] = {
        "machine": machine(),
        "budget": given.budget,
        "seeds": given.seeds,
        "variants": variants,
        "sets": {},
    }
    with measuring_alone():
        for name in names:
            measure_set(name, results, given, variants)
    print((given.out / "table.md").read_text())


if __name__ == "__main__":
    main()
