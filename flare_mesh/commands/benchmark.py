"""``flare-mesh benchmark``: several models on one data set under one budget."""

import re
from pathlib import Path
from typing import Any

from flare_mesh.commands.benchmark_baselines import baseline_names, baseline_rows
from flare_mesh.commands.benchmark_results import draw_results, write_tables
from flare_mesh.commands.benchmark_runs import finish_run, result_of, step_seconds
from flare_mesh.commands.class_paths import check_classes
from flare_mesh.commands.named_config import chosen_config
from flare_mesh.documents import load_yaml, read_yaml_text
from flare_mesh.files import check_folder
from flare_mesh.models import MODELS
from flare_mesh.training.build import check_model

_TRIAL_BATCHES = 25
_RUN = ("keep", "checkpoint_steps")
"""Options that all runs take from the configuration of the data, beside data and trainer."""
# Options of the trainer that a model's own configuration sets; others are the data's.
_RECIPE = ("precision", "gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches")


def benchmark(
    data: str,
    models: dict[str, dict[str, Any] | None] | list[str] | str,
    *,
    out: str = "runs/benchmark",
    seeds: int = 3,
    epochs: int | None = None,
    seconds: float | None = None,
    overwrite: bool = False,
    trust_config: bool = False,
) -> None:
    """Train several models on one data set under one budget, each with several seeds.

    Each run is a process of its own, so that its peak memory is its own, and its failure does not
    stop the others. If the benchmark is started again, finished runs are used, interrupted runs are
    resumed, and failed runs are started again. Writes results.csv (a row for each run), table.csv
    and table.md (a row for each model) and results.png into the folder of the benchmark.

    A budget in seconds is for training steps; reading, validation and test are not counted. The
    step of each model is timed in a short trial, and its runs get the number of steps that fill the
    budget, so that the learning-rate schedule ends with it.

    Args:
        data: Configuration file, or name of one that comes with the package, with the data and the
            training options of models without a configuration of their own.
        models: Names of models, of configurations or of baselines, 'baselines' for all of these;
            or a mapping from a name in the table to the 'model' part of a configuration, such as
            '{small: {name: flare, options: {num_layers: 2}}}'. The model, loss, optimiser,
            schedule, precision and clipping of a configuration are used, its data are not.
        out: Folder of the benchmark.
        seeds: Number of runs of each model, with the seeds 0, 1 and so on.
        epochs: Budget of each run in epochs; by default from the configuration of the data.
        seconds: Budget of each run in seconds of training, instead of epochs.
        overwrite: Replace runs with other options in the folder.
        trust_config: Accept any class that the configurations name; they can then run any code.
    """
    if seeds < 1:
        raise ValueError(f"seeds: expected at least 1 (got {seeds})")
    if epochs is not None and seconds is not None:
        raise ValueError("epochs, seconds: expected one budget (got both); leave out one")
    for name, value in (("epochs", epochs), ("seconds", seconds)):
        if value is not None and not value > 0:
            raise ValueError(f"{name}: expected more than 0 (got {value})")
    base = _read_config(data)
    if not isinstance(base.get("data"), dict):
        raise ValueError(f"{data}: expected a configuration with 'data'")
    if base.get("ckpt_path") is not None:
        raise ValueError(f"{data}: ckpt_path resumes one run, but a benchmark starts its own")
    if base["data"].get("test_split", "test") is None:
        raise ValueError(
            f"{data}: data.test_split is not set, but models are compared on test cases; set it"
        )
    baselines, models = baseline_names(models)
    recipes = _recipes(base, models) if models or not baselines else {}
    configs = {label: _merge(base, recipe) for label, recipe in recipes.items()}
    for config in configs.values():
        check_classes(config, trusted=trust_config)
    folder = Path(out)
    check_folder(folder / "table.csv")
    rows = baseline_rows(base["data"], baselines, seeds) if baselines else []
    for label, config in configs.items():
        place = folder / label
        trainer = config["trainer"]
        if epochs is not None:
            trainer |= {"max_epochs": epochs, "max_steps": -1}
        elif seconds is not None:
            trial = _trial(config)
            print(f"{label}: trial", flush=True)
            reason = finish_run(place / "trial", trial, overwrite, trust_config)
            if reason:
                print(f"{label}: the trial failed: {reason}", flush=True)
                rows += [
                    {"model": label, "seed": seed, "failed": f"trial: {reason}"}
                    for seed in range(seeds)
                ]
                continue
            steps = max(1, int(seconds / step_seconds(place / "trial")))
            trainer |= {"max_epochs": -1, "max_steps": steps}
        for seed in range(seeds):
            run = place / f"seed_{seed}"
            given = config | {"seed_everything": seed}
            reason = finish_run(run, given, overwrite, trust_config)
            row = {"model": label, "seed": seed, "failed": reason} | result_of(run, reason)
            rows.append(row)
            done = f"failed: {reason}" if reason else f"relative L2 {row['relative_l2']:.4f}"
            print(f"{label}, seed {seed}: {done}", flush=True)
            write_tables(folder, rows)
    write_tables(folder, rows)
    draw_results(folder, rows)
    print((folder / "table.md").read_text(encoding="utf-8"), end="")
    if all(row["failed"] for row in rows):
        raise ValueError(f"{folder}: all runs failed; the first: {rows[0]['failed']}")


def _trial(config: dict[str, Any]) -> dict[str, Any]:
    """Configuration with two short epochs; the first one includes compilation and reading."""
    return {
        **{key: value for key, value in config.items() if key not in _RUN},
        "seed_everything": 0,
        "trainer": {
            **config["trainer"],
            "max_epochs": 2,
            "max_steps": -1,
            "limit_train_batches": _TRIAL_BATCHES,
        },
        "data": {**config["data"], "val_split": None, "test_split": None},
    }


def _recipes(base: dict[str, Any], models: Any) -> dict[str, dict[str, Any]]:
    """Parts ``model`` and ``trainer`` of the configuration of each model, by name in the table."""
    if isinstance(models, str):
        models = [models]
    if isinstance(models, list):
        if len(set(models)) < len(models):
            raise ValueError(f"models: expected each name once (got {models})")
        models = {_label(name): name for name in models}
    if not models:
        raise ValueError("models: expected at least one")
    found = {}
    for label, entry in models.items():
        if not re.fullmatch(r"[\w+.-]+", label) or label.startswith("."):
            raise ValueError(
                f"models: expected names of letters, digits, '_', '-', '+' (got '{label}')"
            )
        name = label if entry is None else entry
        if isinstance(name, str) and name not in MODELS:
            recipe = _read_config(name)
            if not isinstance(recipe.get("model"), dict):
                raise ValueError(f"{name}: expected a configuration with 'model'")
        else:
            given = {"name": name} if isinstance(name, str) else name
            shared = {k: v for k, v in (base.get("model") or {}).items() if k != "options"}
            recipe = {"model": {**shared, "name": label, **given}}
        model = recipe["model"]
        try:
            check_model(model.get("name", "flare"), model.get("options") or {})
        except ValueError as error:
            raise ValueError(f"models, '{label}': {error}") from error
        found[label] = recipe
    return found


def _label(name: str) -> str:
    return Path(name).stem if name.endswith((".yaml", ".yml")) else name


def _merge(base: dict[str, Any], recipe: dict[str, Any]) -> dict[str, Any]:
    trainer = {**(base.get("trainer") or {})}
    trainer |= {k: v for k, v in (recipe.get("trainer") or {}).items() if k in _RECIPE}
    shared = {key: base[key] for key in _RUN if base.get(key) is not None}
    return {**shared, "trainer": trainer, "model": recipe["model"], "data": base["data"]}


def _read_config(name: str) -> dict[str, Any]:
    path = chosen_config(name, MODELS)
    try:
        found = load_yaml(read_yaml_text(path))
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read as YAML ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a configuration")
    return found
