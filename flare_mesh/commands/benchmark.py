"""``flare-mesh benchmark``: several models on one data set under one budget."""

from pathlib import Path
from typing import Any

from flare_mesh.commands.benchmark_baselines import baseline_names, baseline_rows
from flare_mesh.commands.benchmark_configs import model_configs, read_config, with_budget
from flare_mesh.commands.benchmark_needs import with_edges, with_lengths
from flare_mesh.commands.benchmark_results import draw_results, write_tables
from flare_mesh.commands.benchmark_runs import finish_run, result_of
from flare_mesh.commands.benchmark_sizes import build_trial, count_parameters, match_parameters
from flare_mesh.commands.class_paths import check_classes
from flare_mesh.datasets.lra import SEQUENCE_DATASETS
from flare_mesh.files import check_folder
from flare_mesh.training.data_module import FieldDataModule
from flare_mesh.trusted_classes import trusting_code


def benchmark(
    data: str,
    models: dict[str, dict[str, Any] | None] | list[str] | str,
    *,
    out: str = "runs/benchmark",
    seeds: int = 3,
    epochs: int | None = None,
    seconds: float | None = None,
    match_parameters: bool = False,
    overwrite: bool = False,
    trust_config: bool = False,
    trust_code: bool = False,
) -> None:
    """Train several models on one data set under one budget, each with several seeds.

    Each run is a process of its own, so that its peak memory is its own, and its failure does not
    stop the others. If the benchmark is started again, finished runs are used, interrupted runs are
    resumed, and failed runs are started again. Writes results.csv (a row for each run), table.csv
    and table.md (a row for each model) and results.png into the folder of the benchmark.

    A budget in seconds is the time of training with its validations, over which the learning rate's
    schedule is laid; reading and test are not counted.

    A model by name has the sizes and other options that the configuration of the data gives for its
    own model, as far as it has options of these names. The numbers of parameters are printed first.

    What a model needs and the configuration of the data lacks is added to its runs, in printed
    lines: edges (those of the cells, or from the nearest neighbours), and the number of nodes of
    the largest case to mixing layers of limited length.

    Args:
        data: Configuration file, or name of one that comes with the package, with the data and the
            training options of models without a configuration of their own.
        models: Names of models, of mixing layers (in the model 'backbone'), of configurations or of
            baselines; 'all' for every model and mixing layer, 'baselines' for all of these;
            or a mapping from a name in the table to the 'model' part of a configuration, such as
            '{small: {name: flare, options: {num_layers: 2}}}'. The model, loss, optimiser,
            schedule, precision and clipping of a configuration are used, its data are not. A model
            of your own is given by its import path, package.module:Class.
        out: Folder of the benchmark.
        seeds: Number of runs of each model, with the seeds 0, 1 and so on.
        epochs: Budget of each run in epochs; by default from the configuration of the data.
        seconds: Budget of each run in seconds of training, instead of epochs.
        match_parameters: Choose the width of each model so that it has as many parameters as the
            first one, within 5 %.
        overwrite: Replace runs with other options in the folder.
        trust_config: Accept any class that the configurations name; they can then run any code.
        trust_code: Accept models and data sets of classes outside flare-mesh; their code is run.
    """
    _check_numbers(seeds, epochs, seconds)
    trust = {"trust_config": trust_config, "trust_code": trust_code}
    base = _read_data(data)
    baselines, models = baseline_names(models)
    with trusting_code(trust_code):
        configs = model_configs(base, models) if models or not baselines else {}
        for config in configs.values():
            check_classes(config, trusted=trust_config)
        folder = Path(out)
        check_folder(folder / "table.csv")
        if configs:
            configs = _sized(FieldDataModule(**base["data"]), configs, match_parameters, epochs)
        rows: list[dict[str, Any]] = []
        for row in baseline_rows(base["data"], baselines, seeds):
            rows.append(row)
            write_tables(folder, rows)
    for label, config in configs.items():
        for seed in range(seeds):
            run = folder / label / f"seed_{seed}"
            given = with_budget(config, epochs, seconds) | {"seed_everything": seed}
            reason = finish_run(run, given, overwrite, **trust)
            row = {"model": label, "seed": seed, "failed": reason} | result_of(run, reason)
            rows.append(row)
            done = f"failed: {reason}" if reason else f"relative L2 {row['relative_l2']:.4f}"
            print(f"{label}, seed {seed}: {done}", flush=True)
            write_tables(folder, rows)
    draw_results(folder, rows)
    print((folder / "table.md").read_text(encoding="utf-8"), end="")
    if all(row["failed"] for row in rows):
        raise ValueError(f"{folder}: all runs failed; the first: {rows[0]['failed']}")


def _check_numbers(seeds: int, epochs: int | None, seconds: float | None) -> None:
    if seeds < 1:
        raise ValueError(f"seeds: expected at least 1 (got {seeds})")
    if epochs is not None and seconds is not None:
        raise ValueError("epochs, seconds: expected one budget (got both); leave out one")
    for name, value in (("epochs", epochs), ("seconds", seconds)):
        if value is not None and not value > 0:
            raise ValueError(f"{name}: expected more than 0 (got {value})")


def _read_data(data: str) -> dict[str, Any]:
    """Configuration of the data."""
    base = read_config(data)
    if not isinstance(base.get("data"), dict):
        raise ValueError(f"{data}: expected a configuration with 'data'")
    if str(base["data"].get("name")) in SEQUENCE_DATASETS:
        raise ValueError(
            f"{data}: expected a data set of fields (got '{base['data']['name']}', of sequences); "
            f"compare mixing layers on it by 'flare-mesh fit --config {data} "
            f"--model.options.mixer NAME --out DIR' for each, whose accuracy is in summary.json"
        )
    if base.get("ckpt_path") is not None:
        raise ValueError(f"{data}: ckpt_path resumes one run, but a benchmark starts its own")
    if base["data"].get("test_split", "test") is None:
        raise ValueError(
            f"{data}: data.test_split is not set, but models are compared on test cases; set it"
        )
    return base


def _sized(
    data: FieldDataModule, configs: dict[str, dict[str, Any]], match: bool, epochs: int | None
) -> dict[str, dict[str, Any]]:
    """The configurations, with matched widths if asked for, and with what their models need.

    Prints the numbers of parameters, and what is added.
    """
    recipe = data.recipe()
    found, target = {}, 0
    for label, config in configs.items():
        model = config["model"]
        if model.get("size") == "auto":
            if epochs is not None:
                raise ValueError(
                    f"epochs: the size of '{label}' is chosen for a time (model.size: auto); give "
                    f"the budget by --seconds, or name a size"
                )
            if match:
                raise ValueError(
                    f"match_parameters: the size of '{label}' is chosen in its runs (model.size: "
                    f"auto); name a size"
                )
            print(f"{label}: size chosen for the time (model.size: auto)", flush=True)
            found[label] = config
            continue
        model = with_lengths(model, label, data)
        try:
            trial = build_trial(recipe, model)
            count = count_parameters(trial)
            if match and target:
                model, count = match_parameters(trial, model, target)
        except ValueError as error:
            if match:
                raise ValueError(f"models, '{label}': {error}") from error
            print(f"{label}: cannot be built", flush=True)  # its runs say why
            found[label] = config
            continue
        target = target or count
        shown = model.get("options") or "default options"
        print(f"{label}: {count:,} parameters, {shown}", flush=True)
        found[label] = with_edges({**config, "model": model}, label, trial, data)
    return found
