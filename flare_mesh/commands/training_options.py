"""Options of the training commands."""

import logging
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from functools import cache, wraps
from pathlib import Path
from typing import Any, ClassVar

from jsonargparse import Namespace
from lightning import LightningDataModule
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from flare_mesh.commands.class_paths import check_class_paths, check_classes, limited_imports
from flare_mesh.commands.option_check import (
    check_argument_values,
    check_arguments,
    check_config_file,
    option_values,
    prefixes,
)
from flare_mesh.commands.parser import SWITCH
from flare_mesh.documents import load_argument
from flare_mesh.training.training_module import TrainingModule

_COMMAND: ContextVar["TrainingOptions | None"] = ContextVar("command", default=None)
"""The command that builds its classes; None where its parser is used alone."""


# The parser takes the options of a module from it, and allows one function of its name only.
@cache
def _build_by_command(build: Callable[..., TrainingModule]) -> Callable[..., TrainingModule]:
    @wraps(build)
    def built(*args: Any, **given: Any) -> TrainingModule:
        command = _COMMAND.get()
        return (build if command is None else command.build_model)(*args, **given)

    return built


class _OptionsParser(LightningArgumentParser):
    """A parser for which no value of an option is a path to a file with the option's values."""

    def add_class_arguments(self, *args: Any, **options: Any) -> Any:
        return super().add_class_arguments(*args, **{**options, "sub_configs": False})


class TrainingOptions(LightningCLI):
    """Lightning's command line with the options of this library's models and data.

    A subclass names the function that builds a module, and the class of its data.

    Args:
        args: Arguments of the command; the process's by default.
        trust_config: Accept any class that the options name, which can run any code.
    """

    BUILD: ClassVar[Callable[..., TrainingModule]]
    """Builds the module from ``data`` and the options of ``model``."""
    DATA: ClassVar[type[LightningDataModule]]
    """Class of the data."""

    def __init__(self, args: list[str] | None = None, *, trust_config: bool = False) -> None:
        self._trusted = trust_config
        self._chosen = args[0] if args else ""
        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.WARNING)
        super().__init__(
            _build_by_command(self.BUILD),
            self.DATA,
            save_config_callback=None,
            seed_everything_default=0,
            trainer_defaults={
                "enable_checkpointing": True,
                "use_distributed_sampler": False,
                "enable_model_summary": False,
                "num_sanity_val_steps": 0,
                "gradient_clip_val": 1.0,
                "log_every_n_steps": 50,
            },
            parser_kwargs={"exit_on_error": False},
            parser_class=_OptionsParser,
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            args=args,
        )

    def build_model(self, data: Any, *args: Any, **given: Any) -> Any:
        """Build the module from the options of ``model``."""
        return self.BUILD(data, *args, **given)

    # An instance's method, since the parser of each command takes a tenth of a second to build.
    def subcommands(self) -> dict[str, set[str]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        hidden = {"model", "dataloaders", "datamodule", "weights_only"}
        known = {
            "fit": hidden | {"train_dataloaders", "val_dataloaders"},
            "validate": hidden | {"verbose"},
            "test": hidden | {"verbose"},
        }
        return {self._chosen: known[self._chosen]} if self._chosen in known else known

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument(
            "--budget",
            type=str | float | None,
            default=None,
            help="Time of training with its validations, such as 90s, 5m, 1h30m or a number of "
            "seconds, instead of trainer.max_epochs or max_steps; 5m if none of them is given.",
        )
        parser.add_argument("--out", type=str, default="runs/run", help="Folder of the run.")
        parser.add_argument(
            "--overwrite", action=SWITCH, help="Replace the run that the folder holds."
        )
        parser.add_argument(
            "--baselines",
            action=SWITCH,
            default=True,
            help="Compare the model with simple baselines in the test.",
        )
        parser.add_argument(
            "--keep",
            type=str | None,
            default=None,
            help="Epoch whose weights are tested and saved: 'best' on the validation cases, or "
            "'last'. By default the best, unless validation and test cases are the same.",
        )
        parser.add_argument(
            "--checkpoint_steps",
            type=int | None,
            default=None,
            help="Number of steps between checkpoints within an epoch; none by default.",
        )
        parser.link_arguments("data", "model.data", apply_on="instantiate")
        parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        kwargs.setdefault(
            "epilog",
            "On the command line only: --trust-config accepts any class that a configuration "
            "names for options of the trainer; it can then run any code. --trust-code accepts "
            "package.module:Class for data.name, model.name and model.options.mixer, and runs "
            "that code.",
        )
        return super().init_parser(**kwargs)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Refuse unknown options and classes that are not accepted, before any import."""
        chosen = self._subcommand_parsers.get(args[0]) if args else None
        if chosen is not None:
            actions = (action.dest for action in chosen._actions)
            known = {name for name in actions if not name.endswith((".help", "==SUPPRESS=="))}
            # Groups such as 'model.optimizer' are known by their options.
            known -= {group for name in known for group in prefixes(name)}
            strings = (name for action in chosen._actions for name in action.option_strings)
            off = {name.removeprefix("--") for name in strings if name.startswith("--no-")}
            check_arguments(args[1:], {*known, *off, "help", "print_config"})
            check_argument_values(args[1:], trusted=self._trusted)
            groups = {group for name in known for group in prefixes(name)}
            for option, value in option_values(args[1:]):
                if option in groups and not isinstance(load_argument(value), Mapping):
                    raise ValueError(
                        f"{option}: expected a mapping of options (got '{value}'); give a file by "
                        f"--config"
                    )
                if option in ("c", "config"):
                    values = check_config_file(value, known, trusted=self._trusted)
                    _check_command_line_only(value, values)
        with limited_imports(self._trusted):
            self.config = parser.parse_args(args)
        options = self.config[self.config.subcommand]
        check_classes(options, trusted=self._trusted)
        if not self._trusted:
            check_class_paths(options.trainer, [Path(options.out), Path.cwd()])

    def instantiate_classes(self) -> None:
        token = _COMMAND.set(self)
        try:
            with limited_imports(self._trusted):
                super().instantiate_classes()
        finally:
            _COMMAND.reset(token)

    def _parse_ckpt_path(self) -> None:
        """Do nothing: checkpoints contain no options for the command line."""

    @property
    def options(self) -> Namespace:
        """Parsed options of the command."""
        assert self.subcommand is not None
        return self.config[self.subcommand]


def _check_command_line_only(path: str, values: Mapping[Any, Any]) -> None:
    """Refuse options by which a file would read another file, or replace a run."""
    for name in ("config", "overwrite"):
        if values.get(name) not in (None, False):
            raise ValueError(
                f"{path}: '{name}' is an option of the command line; give it there as --{name}"
            )
