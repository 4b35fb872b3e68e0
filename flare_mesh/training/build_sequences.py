"""Training module of a model of sequences from a configuration."""

import inspect
from pathlib import Path
from typing import Any

from flare_mesh.choices import check_options
from flare_mesh.models import SEQUENCE_MODELS, SequenceModel
from flare_mesh.nn.mixer import check_mixer
from flare_mesh.training.checkpoint_check import describe_differences
from flare_mesh.training.optimizers import OptimizerConfig
from flare_mesh.training.schedules import ScheduleConfig
from flare_mesh.training.sequence_module import SequenceModule

_SAVED = "model"
"""Folder of the model in that of a run."""


def build_sequence_module(
    data: Any = None,
    name: str = "sequence",
    *,
    options: dict[str, Any] | None = None,
    optimizer: OptimizerConfig = OptimizerConfig(),  # noqa: B008
    schedule: ScheduleConfig = ScheduleConfig(),  # noqa: B008
    ema: float | None = None,
    weights: str | None = None,
    compile: bool = False,
    seed: int = 0,
) -> SequenceModule:
    """Training module of a classifier of sequences, with the classes and tokens of some data.

    Args:
        data: A :class:`SequenceDataModule`; the command line passes its own ``data``.
        name: ``sequence``, for :class:`~flare_mesh.models.SequenceModel`.
        options: Options of the model, such as ``mixer`` and ``hidden_channels``. Classes, tokens or
            channels, and documents are those of the data, ``max_length`` is by default.
        optimizer: Optimiser and its options.
        schedule: Schedule of the learning rate.
        ema: Decay of an exponential moving average of the weights, such as 0.999; none by default.
        weights: Folder of a run, or of a model, whose weights training starts from; its model must
            be the same.
        compile: Compile the model by ``torch.compile``.
        seed: Seed of dropout.

    Raises:
        ValueError: If an option is unknown, or the model does not fit the data.
    """
    check_sequence_model(name, options or {})
    options, dataset = dict(options or {}), data.dataset("train")
    longest = dataset.max_length
    found = {
        "num_classes": dataset.num_classes,
        "num_tokens": None if dataset.in_channels else dataset.vocabulary_size,
        "in_channels": dataset.in_channels,
        "documents": dataset.documents,
    }
    for key, value in found.items():
        if options.pop(key, value) != value:
            raise ValueError(
                f"model.options.{key}: the data set '{data.name}' has {value}; leave it out"
            )
    limits = {
        "model.options.max_length": options.setdefault("max_length", longest),
        "model.options.mixer_options.max_nodes": (options.get("mixer_options") or {}).get(
            "max_nodes"
        ),
    }
    for key, limit in limits.items():
        if limit is not None and limit < longest:
            raise ValueError(
                f"{key}: the data set '{data.name}' has sequences of up to {longest} tokens (got "
                f"{limit}); leave it out"
            )
    try:
        model = SequenceModel(**found, **options)
    except (TypeError, ValueError) as error:
        raise ValueError(f"model.options: {error}") from error
    if weights is not None:
        _start_from(model, Path(weights))
    return SequenceModule(
        model, optimizer=optimizer, schedule=schedule, ema=ema, compile=compile, seed=seed
    )


def check_sequence_model(name: str, options: dict[str, Any]) -> None:
    """Check a model's name, its options' names and mixer, before any data are opened.

    Raises:
        ValueError: If one is unknown; names the nearest.
    """
    if name != SequenceModel.NAME:
        known = " (which predicts tokens, and no classes)" if name in SEQUENCE_MODELS else ""
        raise ValueError(
            f"model.name: expected '{SequenceModel.NAME}' for a data set of sequences (got "
            f"'{name}'{known}); choose the mixing layer by model.options.mixer"
        )
    try:
        check_options("the model 'sequence'", options, inspect.signature(SequenceModel).parameters)
        check_mixer(options.get("mixer", "flare"))
    except ValueError as error:
        raise ValueError(f"model.options: {error}") from error


def _start_from(model: SequenceModel, weights: Path) -> None:
    folder = weights / _SAVED if (weights / _SAVED).is_dir() else weights
    given = SequenceModel.load(folder)
    found = describe_differences({"model": model.config}, {"model": given.config})
    if found:
        raise ValueError(f"model.weights: {weights} is of another model ({'; '.join(found)})")
    model.load_state_dict(given.state_dict())
