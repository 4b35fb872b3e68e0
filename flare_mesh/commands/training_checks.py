"""Checks of the training commands' options, before any data are opened."""

from argparse import SUPPRESS
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from jsonargparse import Namespace
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LightningArgumentParser

from flare_mesh.training.build import check_model
from flare_mesh.training.duration import parse_duration


def check_field_options(command: str, parser: LightningArgumentParser, options: Namespace) -> None:
    """Check the options of the training of a surrogate.

    Args:
        command: ``fit``, ``validate`` or ``test``.
        parser: The command's parser.
        options: All options.

    Raises:
        ValueError: At the first that cannot work.
    """
    check_options(command, parser, options)
    check_model(options.model.name, options.model.options or {}, options.model.size)
    if command == "fit" and options.budget is None and options.model.size == "auto":
        raise ValueError(
            "model.size: 'auto' is chosen for a time budget; set budget instead of "
            "trainer.max_epochs and max_steps, or name a size"
        )
    _check_normalizers(options.model.normalizers or {})
    if options.coverage is not None and not 0 < options.coverage < 1:
        raise ValueError(
            f"coverage: expected a share between 0 and 1, or null for no bands (got "
            f"{options.coverage})"
        )


def check_options(command: str, parser: LightningArgumentParser, options: Namespace) -> None:
    """Check the options of a training and their combinations.

    Args:
        command: ``fit``, ``validate`` or ``test``.
        parser: The command's parser.
        options: All options.

    Raises:
        ValueError: At the first that cannot work.
    """
    _check_null(parser, options)
    _check_trainer(options.trainer)
    _check_budget(command, options)
    if options.data.test_split is not None and options.trainer.limit_test_batches == 0:
        raise ValueError(
            "trainer.limit_test_batches: expected more than 0 (got 0); set data.test_split=null to "
            "train without a test"
        )
    if options.keep not in (None, "best", "last"):
        raise ValueError(f"keep: expected 'best' or 'last' (got '{options.keep}')")
    if options.data.val_split is None:
        if options.keep == "best":
            raise ValueError("keep: 'best' needs validation cases; set data.val_split")
        if command == "validate":
            raise ValueError("validate: there are no validation cases; set data.val_split")


def check_monitors(callbacks: Sequence[Callback], options: Namespace) -> None:
    """Refuse callbacks that monitor validation errors in a run without validation cases.

    Raises:
        ValueError: At the first.
    """
    for callback in callbacks:
        monitor = str(getattr(callback, "monitor", ""))
        if monitor.startswith("val_") and options.data.val_split is None:
            raise ValueError(
                f"trainer.callbacks: {type(callback).__name__} monitors {monitor}, but there are "
                f"no validation cases; set data.val_split"
            )


def _check_null(parser: LightningArgumentParser, options: Namespace) -> None:
    """Refuse null for options of the model and the data that need a value."""
    for action in parser._actions:
        name, kinds = action.dest, get_args(getattr(action, "_typehint", None))
        if not name.startswith(("model.", "data.")) or action.default in (None, SUPPRESS):
            continue
        if type(None) not in kinds and options.get(name, action.default) is None:
            raise ValueError(
                f"{name}: expected a value (got null); leave it out for {action.default}"
            )


def _check_trainer(options: Namespace) -> None:
    """Refuse values that Lightning accepts and then trains nothing, or fails in training."""
    for name in ("max_epochs", "max_steps", "limit_train_batches"):
        if options[name] == 0:
            raise ValueError(f"trainer.{name}: expected training of some length (got 0)")
    for name in ("accumulate_grad_batches", "check_val_every_n_epoch"):
        if options[name] is not None and options[name] < 1:
            raise ValueError(f"trainer.{name}: expected at least 1 (got {options[name]})")
    if (options.gradient_clip_val or 0) < 0:
        raise ValueError(
            f"trainer.gradient_clip_val: expected at least 0 (got {options.gradient_clip_val})"
        )


DEFAULT_BUDGET = "5m"
"""Time of a training whose configuration sets no length."""


def set_default_budget(options: Namespace) -> bool:
    """Give a training without a length a time budget; returns whether it had none."""
    trainer = options.trainer
    lengths = trainer.max_epochs, options.budget, trainer.max_time
    if trainer.max_steps != -1 or any(value is not None for value in lengths):
        return False
    options.budget = DEFAULT_BUDGET
    return True


def _check_budget(command: str, options: Namespace) -> None:
    """Refuse a second length of the training."""
    trainer = options.trainer
    if command == "fit" and trainer.max_time is not None:
        raise ValueError(
            f"trainer.max_time: no schedule is laid over it (got {trainer.max_time}); give the "
            f"time as budget, such as --budget 5m"
        )
    if options.budget is None:
        return
    parse_duration(options.budget)
    if command != "fit":
        return
    unset = {"max_epochs": (None, -1), "max_steps": (-1,), "min_epochs": (None,)}
    for name, values in (unset | {"min_steps": (None,)}).items():
        if trainer[name] not in values:
            raise ValueError(
                f"budget: expected one length of the training (got budget={options.budget} and "
                f"trainer.{name}={trainer[name]}); leave out one (--budget null, or "
                f"--trainer.{name} {'-1' if name == 'max_steps' else 'null'})"
            )


def _check_normalizers(options: Mapping[str, Any]) -> None:
    for key, value in options.items():
        if not isinstance(value, str) and not (isinstance(value, Mapping) and "name" in value):
            raise ValueError(
                f"model.normalizers.{key}: expected a name, or a mapping with 'name' (got {value})"
            )
