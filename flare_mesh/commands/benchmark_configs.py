"""Configurations of the models of a benchmark."""

import re
from pathlib import Path
from typing import Any

from flare_mesh.commands.benchmark_sizes import shared_options
from flare_mesh.commands.named_config import chosen_config
from flare_mesh.documents import load_yaml, read_yaml_text
from flare_mesh.models import MODELS
from flare_mesh.nn.mixer import MIXERS, latent_options
from flare_mesh.training.build import check_model
from flare_mesh.trusted_classes import is_class_path

ALL = "all"
"""Name of every model and mixing layer among the models of a benchmark."""
# Options that all runs take from the configuration of the data, beside data and trainer.
_RUN = ("keep", "checkpoint_steps", "budget")
# Options of the trainer that a model's own configuration sets; others are the data's.
_RECIPE = ("precision", "gradient_clip_val", "gradient_clip_algorithm", "accumulate_grad_batches")


def model_configs(base: dict[str, Any], models: Any) -> dict[str, dict[str, Any]]:
    """Configuration of each model's runs, by name in the table.

    Args:
        base: Configuration of the data.
        models: As for :func:`~flare_mesh.commands.benchmark.benchmark`, without baselines.

    Raises:
        ValueError: If a name or an option is unknown, or a name occurs twice.
    """
    return {label: _merge(base, recipe) for label, recipe in _recipes(base, models).items()}


def with_budget(
    config: dict[str, Any], epochs: int | None, seconds: float | None
) -> dict[str, Any]:
    """A configuration with one length of training; as it is without a length.

    Args:
        config: Configuration of a run.
        epochs: Number of epochs.
        seconds: Time of training.
    """
    if epochs is None and seconds is None:
        return config
    lengths = ("max_epochs", "max_steps", "max_time", "min_epochs", "min_steps")
    trainer = {key: value for key, value in config["trainer"].items() if key not in lengths}
    if epochs is not None:
        return {**config, "budget": None, "trainer": {**trainer, "max_epochs": epochs}}
    return {**config, "budget": seconds, "trainer": trainer}


def read_config(name: str) -> dict[str, Any]:
    """Values of a configuration file.

    Args:
        name: Path of the file, or name of one that comes with the package.

    Raises:
        FileNotFoundError: If there is none.
        ValueError: If it is no configuration.
    """
    path = chosen_config(name, [*MODELS, *MIXERS])
    try:
        found = load_yaml(read_yaml_text(path))
    except ValueError as error:
        raise ValueError(f"{path}: cannot be read as YAML ({error})") from error
    if not isinstance(found, dict):
        raise ValueError(f"{path}: expected a configuration")
    return found


def _recipes(base: dict[str, Any], models: Any) -> dict[str, dict[str, Any]]:
    """Parts ``model`` and ``trainer`` of the configuration of each model, by name in the table."""
    if isinstance(models, str):
        models = [models]
    if isinstance(models, list):
        if ALL in models:
            every = [*(name for name in MODELS if name != "backbone"), *MIXERS]
            models = [*(name for name in models if name != ALL and name not in every), *every]
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
        if isinstance(name, str) and name in MIXERS:
            given = {"name": "backbone", "options": {"mixer": name}}
            recipe = {"model": _with_shared_options(base.get("model") or {}, given)}
        elif isinstance(name, str) and name not in MODELS and not is_class_path(name):
            recipe = read_config(name)
            if not isinstance(recipe.get("model"), dict):
                raise ValueError(f"{name}: expected a configuration with 'model'")
            _check(label, recipe["model"])
        else:
            given = {"name": label, **({"name": name} if isinstance(name, str) else name)}
            _check(label, given)
            recipe = {"model": _with_shared_options(base.get("model") or {}, given)}
        found[label] = recipe
    return found


def _with_shared_options(base: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    """A model with the options of the data's configuration that it does not give itself."""
    shared = {key: value for key, value in base.items() if key not in ("options", "size")}
    model = {**shared, **given}
    if "size" in given:
        return model
    if base.get("size") == "auto" and model["name"] == "flare":
        model["size"] = "auto"
    options = {**shared_options(base, model["name"]), **(given.get("options") or {})}
    if model["name"] == "backbone" and "mixer_options" not in options:
        latents = shared_options(base, "flare").get("num_latents")
        own = {} if latents is None else latent_options(options.get("mixer", "flare"), latents)
        options |= {"mixer_options": own} if own else {}
    return {**model, "options": options} if options else model


def _check(label: str, model: dict[str, Any]) -> None:
    try:
        check_model(model.get("name", "flare"), model.get("options") or {}, model.get("size"))
    except ValueError as error:
        raise ValueError(f"models, '{label}': {error}") from error


def _label(name: str) -> str:
    if is_class_path(name):
        return name.rpartition(":")[2]
    return Path(name).stem if name.endswith((".yaml", ".yml")) else name


def _merge(base: dict[str, Any], recipe: dict[str, Any]) -> dict[str, Any]:
    trainer = {**(base.get("trainer") or {})}
    trainer |= {k: v for k, v in (recipe.get("trainer") or {}).items() if k in _RECIPE}
    shared = {key: base[key] for key in _RUN if base.get(key) is not None}
    return {**shared, "trainer": trainer, "model": recipe["model"], "data": base["data"]}
