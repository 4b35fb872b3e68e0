"""Classes that a configuration may name.

The parser imports a class by the name that a value gives, and calls it with the arguments beside
it: whoever writes the configuration chooses what runs. Only the classes listed here are accepted,
none of which runs or imports what its arguments name, opens the network, or loads a file.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from jsonargparse import Namespace, set_parsing_settings

# The settings belong to the process, and nothing public sets them back.
from jsonargparse._common import parsing_settings

from flare_mesh.documents import load_argument

_MODULES = {
    "lightning.pytorch.callbacks": {
        "BatchSizeFinder": "batch_size_finder",
        "DeviceStatsMonitor": "device_stats_monitor",
        "EMAWeightAveraging": "weight_averaging",
        "EarlyStopping": "early_stopping",
        "GradientAccumulationScheduler": "gradient_accumulation_scheduler",
        "LearningRateFinder": "lr_finder",
        "LearningRateMonitor": "lr_monitor",
        "ModelCheckpoint": "model_checkpoint",
        "ModelSummary": "model_summary",
        "OnExceptionCheckpoint": "on_exception_checkpoint",
        "RichModelSummary": "rich_model_summary",
        "RichProgressBar": "progress.rich_progress",
        "StochasticWeightAveraging": "stochastic_weight_avg",
        "TQDMProgressBar": "progress.tqdm_progress",
        "Timer": "timer",
    },
    "lightning.pytorch.loggers": {"CSVLogger": "csv_logs", "TensorBoardLogger": "tensorboard"},
}
CLASSES = {
    name: [f"{package}.{name}", f"{package}.{module}.{name}"]
    for package, modules in _MODULES.items()
    for name, module in modules.items()
}
"""Names of the accepted classes, and their import paths."""

_PLAIN = {
    f"flare_mesh.training.{module}{name}"
    for name, module in {
        "LossConfig": "losses.",
        "OptimizerConfig": "optimizers.",
        "RolloutConfig": "unroll.",
        "ScheduleConfig": "schedules.",
    }.items()
    for module in ("", module)
}
"""Groups of options, to which the parser gives the names of their classes."""

_PLACES = ("trainer.callbacks", "trainer.logger")
"""Options whose values may be classes."""


@contextmanager
def limited_imports(trusted: bool = False) -> Iterator[None]:
    """Within the block, the parser imports the accepted classes only, before anything else is done.

    Args:
        trusted: Accept all classes where an option's type is a class. Below options of other types
            nothing is instantiated in either case.
    """
    before = dict(parsing_settings)
    set_parsing_settings(
        instantiate_subclass_spec_in_any=False, config_read_mode_fsspec_enabled=False
    )
    if not trusted:
        allowed = [path for paths in CLASSES.values() for path in paths]
        set_parsing_settings(import_path_denylist=["*"], import_path_allowlist=[*allowed, *_PLAIN])
    try:
        yield
    finally:
        parsing_settings.clear()
        parsing_settings.update(before)


def refusal(name: object) -> str:
    """Message about a class that is not accepted."""
    near = get_close_matches(str(name).rpartition(".")[2], CLASSES, 1, 0.85)
    return (
        f"'{name}' is not one of the classes that a configuration may name (docs/trust.md)"
        f"{f'; did you mean {near[0]!r}?' if near else ''}; if you trust all that the "
        f"configuration says, add --trust-config"
    )


def check_classes(values: Any, place: str = "", *, trusted: bool = False) -> None:
    """Refuse values that name other than the accepted classes, or exceed the limits of YAML.

    Args:
        values: Options as mappings and lists, before or after they were parsed.
        place: Dotted name of the option whose values they are.
        trusted: Accept all classes for options of the trainer.

    Raises:
        ValueError: If a class is not accepted, or stands where options are plain values.
    """
    for name, value in _leaves(values, place):
        if isinstance(value, str) and (len(value) > 100 or "!" in value):
            try:
                load_argument(value)  # the parser reads texts as YAML
            except ValueError as error:
                raise ValueError(f"'{name}': {error}") from error
        option, _, key = name.rpartition(".")
        if key == "class_path" and value in _PLAIN:
            continue
        if key == "class_path" and not option.startswith("trainer."):
            raise ValueError(
                f"'{option}': expected plain values (got the class '{value}'); classes are for "
                f"{' and '.join(_PLACES)}"
            )
        if trusted:
            continue
        if key == "class_path":
            _check_class(option, value)
        elif name in _PLACES and isinstance(value, str) and isinstance(load_argument(value), str):
            _check_class(name, value)
        elif "dict_kwargs" in name.split(".") and name.startswith(_PLACES):
            raise ValueError(
                f"'{name}': arguments that a class passes on need --trust-config; leave it out"
            )


def _check_class(option: str, value: Any) -> None:
    short = str(value).rpartition(".")[2]
    known = short in CLASSES and value in (short, *CLASSES[short])
    if not known or not option.startswith(_PLACES):
        raise ValueError(f"'{option}': {refusal(value)}")


def check_class_paths(values: Any, folders: list[Path], place: str = "trainer") -> None:
    """Refuse arguments of classes that lead out of the given folders.

    Args:
        values: Parsed options below ``place``.
        folders: Folders in which the classes may write.
        place: Dotted name of the option whose values they are.

    Raises:
        ValueError: If one is an address, has ``..``, or is a path elsewhere.
    """
    for name, value in _leaves(values, place):
        if "init_args" in name.split(".") and isinstance(value, str | os.PathLike):
            text = os.path.expandvars(os.path.expanduser(str(value)))
            try:
                path = Path(text).resolve()
                inside = any(path.is_relative_to(folder.resolve()) for folder in folders)
            except (OSError, ValueError, RuntimeError):
                inside = False
            if not inside or ".." in re.split(r"[/\\]", text) or "://" in text or "::" in text:
                raise ValueError(
                    f"'{name}': expected a path in the run's folder or the working folder (got "
                    f"'{value}'); choose one there, or add --trust-config"
                )


def _leaves(values: Any, name: str) -> Iterator[tuple[str, Any]]:
    """Values with their dotted names; the entries of a list have the name of the list."""
    if isinstance(values, Namespace):
        values = vars(values)
    if isinstance(values, Mapping):
        for key, value in values.items():
            yield from _leaves(value, f"{name}.{key}" if name else str(key))
    elif isinstance(values, list | tuple):
        for value in values:
            yield from _leaves(value, name)
    else:
        yield name, values
