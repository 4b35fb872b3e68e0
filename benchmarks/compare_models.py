"""FLARE and what it is compared with: equal parameters, data, epochs and seeds.

    python benchmarks/compare_models.py [--sets darcy_100_17,elasticity_100] [--seeds 3]
        [--optimizers muon adamw] [--epochs 20] [--data data/recipe] [--out runs/compare]

Each set is generated once below ``--data``. All models have three blocks of about 64 channels, the
width that gives them the number of parameters of the first one, the features of ``flare-mesh
init``'s geometry, and the same loss and batches. Each is trained with two optimisers, Muon with a
rate of 1e-2 and AdamW with 2e-3, since a rate that suits one model may spoil another. It is a
configuration of ``flare-mesh benchmark``, written to ``--out`` and run from there: the table with
its spread is ``table.md`` of each set. Two cores take two hours for all.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from recipe_sets import SETS

from flare_mesh.commands.benchmark import benchmark

_FLARE = {"num_latents": 64, "kv_layers": -1, "ffn_layers": 1, "head_layers": 1}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "flare++": ("flare", {**_FLARE, "queries": "synthesized"}),
    "flare": ("flare", {**_FLARE, "queries": "fixed"}),
    **{
        mixer: ("backbone", {"mixer": mixer})
        for mixer in ("linear", "linear_no", "nystromformer", "performer", "softmax")
    },
    # One vector for each node and latent: fewer latents for the same number of parameters.
    "linformer": ("backbone", {"mixer": "linformer", "mixer_options": {"num_latents": 16}}),
    "transolver": ("transolver", {}),
    "perceiver_io": ("perceiver_io", {"num_latents": 64}),
}
"""Model and options by the name in the table."""
OPTIMIZERS = {
    "muon": {"name": "muon", "lr": 1e-2, "weight_decay": 0.1},
    "adamw": {"name": "adamw", "lr": 2e-3, "weight_decay": 0.01},
}
FIELDS: dict[str, dict[str, Any]] = {
    "darcy_100_17": {"inputs": ["coeff"], "targets": ["sol"], "weights": True},
    "darcy_100": {"inputs": ["coeff"], "targets": ["sol"], "weights": True},
    "elasticity_100": {"inputs": [], "targets": ["stress"]},
}
"""Fields of the sets, by their names in ``recipe_sets.py``."""
KINDS = {"elasticity_100": "points"}
"""Kind of mesh of the sets that are not plane meshes."""


def models(optimizers: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The model part of a configuration for each model and optimiser."""
    shared = {"hidden_channels": 64, "num_layers": 3, "heads": 8}
    return {
        f"{label}-{optimizer}": {
            "name": name,
            "options": {**shared, **options},
            "optimizer": dict(OPTIMIZERS[optimizer]),
            "schedule": {"name": "cosine", "pct_start": 0.05},
        }
        for label, (name, options) in MODELS.items()
        for optimizer in optimizers
    }


def data_config(name: str, folder: Path, epochs: int) -> dict[str, Any]:
    """Configuration of a set's data."""
    return {
        "model": {"name": "flare"},
        "data": {
            "name": "mesh_folder",
            "root": str(folder),
            "options": FIELDS[name],
            "features": [{"geometry_features": {"kind": KINDS.get(name, "plane")}}],
            "sample_nodes": None,
            "batch_size": 4,
            "in_memory": True,
            "val_split": 0.15,
        },
        "trainer": {"max_epochs": epochs, "accelerator": "cpu"},
        "keep": "last",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--sets", default="darcy_100_17,elasticity_100")
    parser.add_argument("--optimizers", nargs="+", choices=OPTIMIZERS, default=list(OPTIMIZERS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--data", type=Path, default=Path("data/recipe"))
    parser.add_argument("--out", type=Path, default=Path("runs/compare"))
    parser.add_argument("--workers", type=int, default=2, help="processes that generate a set")
    given = parser.parse_args()
    names = given.sets.split(",")
    if unknown := set(names) - set(FIELDS):
        parser.error(f"unknown sets {sorted(unknown)}; choose from {sorted(FIELDS)}")
    # All models with one seed before the next seed: an interrupted comparison is even.
    for seeds in range(1, given.seeds + 1):
        for name in names:
            folder = SETS[name].prepare(given.data / name, given.workers)
            out = given.out / name
            out.mkdir(parents=True, exist_ok=True)
            config = out / "data.yaml"
            config.write_text(yaml.safe_dump(data_config(name, folder, given.epochs)))
            benchmark(
                str(config),
                models(given.optimizers),
                out=str(out / "runs"),
                seeds=seeds,
                epochs=given.epochs,
                match_parameters=True,
            )


if __name__ == "__main__":
    main()
