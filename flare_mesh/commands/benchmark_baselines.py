"""Baselines in the table of a benchmark."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from flare_mesh.baselines import BASELINES, compare_baselines
from flare_mesh.training.data_module import FieldDataModule

LABEL = "baselines"
"""Name of all baselines among the models of a benchmark."""


def baseline_names(models: Any) -> tuple[list[str], Any]:
    """The baselines among the models of a benchmark, and the other models.

    Args:
        models: As for :func:`~flare_mesh.commands.benchmark.benchmark`.
    """
    if isinstance(models, str):
        models = [models]
    if not isinstance(models, list):
        return [], models
    chosen = [*BASELINES] if LABEL in models else [name for name in models if name in BASELINES]
    return chosen, [name for name in models if name != LABEL and name not in BASELINES]


def baseline_rows(
    data: Mapping[str, Any], names: Sequence[str], seeds: int
) -> Iterator[dict[str, Any]]:
    """Rows of the table of results; only the network of each node depends on the seed.

    Args:
        data: Part ``data`` of a configuration.
        names: Names of baselines.
        seeds: Number of runs of the network.
    """
    if not names:
        return
    module = FieldDataModule(**data)
    fields = module.cases("train").dataset.target_channels
    train: Any = module.cases("train")
    test: Any = module.cases("test")
    for name in names:
        for seed in range(seeds if name == "node_mlp" else 1):
            result = compare_baselines(train, test, fields, [name], seed=seed)[name]
            row: dict[str, Any] = {"model": name, "seed": seed, "failed": result.unsuitable}
            if result.errors:
                row["relative_l2"] = sum(result.errors.values()) / len(result.errors)
                if len(fields) > 1:
                    row |= {f"relative_l2_{key}": error for key, error in result.errors.items()}
                row["train_seconds"] = round(result.seconds, 3)
            done = result.unsuitable or f"relative L2 {row['relative_l2']:.4f}"
            print(f"{name}, seed {seed}: {done}", flush=True)
            yield row
