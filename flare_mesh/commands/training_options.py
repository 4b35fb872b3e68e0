"""Options of the training commands, and their check."""

import itertools
import logging
from argparse import SUPPRESS
from collections.abc import Mapping
from typing import Any, get_args

from jsonargparse import Namespace
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI

from flare_mesh.commands.option_check import check_arguments, check_config_file, prefixes
from flare_mesh.commands.parser import SWITCH
from flare_mesh.training.build import build_module
from flare_mesh.training.data_module import FieldDataModule


class TrainingOptions(LightningCLI):
    """The options ``trainer``, ``model``, ``data``, ``out`` and so on of each command.

    Args:
        args: Arguments of the command; those of the process by default.
    """

    def __init__(self, args: list[str] | None = None) -> None:
        for name in ("lightning.pytorch", "lightning.fabric"):
            logging.getLogger(name).setLevel(logging.WARNING)
        super().__init__(
            build_module,
            FieldDataModule,
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
            auto_configure_optimizers=False,
            load_from_checkpoint_support=False,
            args=args,
        )

    @staticmethod
    def subcommands() -> dict[str, set[str]]:
        hidden = {"model", "dataloaders", "datamodule", "weights_only"}
        return {
            "fit": hidden | {"train_dataloaders", "val_dataloaders"},
            "validate": hidden | {"verbose"},
            "test": hidden | {"verbose"},
        }

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        parser.add_argument("--out", type=str, default="runs/run", help="Folder of the run.")
        parser.add_argument(
            "--overwrite", action=SWITCH, help="Replace the run that the folder holds."
        )
        parser.add_argument(
            "--keep",
            type=str | None,
            default=None,
            help="Which epoch's weights become the surrogate: 'best' on the validation cases, or "
            "'last'. By default the best, unless validation and test cases are the same.",
        )
        parser.add_argument(
            "--checkpoint_steps",
            type=int | None,
            default=None,
            help="Also write the last checkpoint every so many steps, for long epochs.",
        )
        parser.link_arguments("data", "model.data", apply_on="instantiate")
        parser.link_arguments("seed_everything", "model.seed", compute_fn=int)
        parser.link_arguments("seed_everything", "data.seed", compute_fn=int)

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:
        """Refuses unknown options by name; Lightning's parser lets some of a file's pass."""
        chosen = self._subcommand_parsers.get(args[0]) if args else None
        if chosen is not None:
            actions = (action.dest for action in chosen._actions)
            known = {name for name in actions if not name.endswith((".help", "==SUPPRESS=="))}
            # Groups such as 'model.optimizer' are named by what is in them.
            known -= {group for name in known for group in prefixes(name)}
            check_arguments(args[1:], {*known, "help", "print_config", "no-overwrite"})
            for option, value in itertools.pairwise(args):
                if option in ("-c", "--config"):
                    check_config_file(value, known)
        self.config = parser.parse_args(args)

    def _parse_ckpt_path(self) -> None:
        """Checkpoints hold no options for the command line."""

    @property
    def options(self) -> Namespace:
        """The parsed options of the chosen command."""
        assert self.subcommand is not None
        return self.config[self.subcommand]


def check_given(parser: LightningArgumentParser, options: Namespace) -> None:
    """Refuses null for options of the model and the data that need a value.

    Raises:
        ValueError: At the first.
    """
    for action in parser._actions:
        name, kinds = action.dest, get_args(getattr(action, "_typehint", None))
        if not name.startswith(("model.", "data.")) or action.default in (None, SUPPRESS):
            continue
        if type(None) not in kinds and options.get(name, action.default) is None:
            raise ValueError(
                f"{name}: expected a value (got null); left out, it is {action.default}"
            )


def check_trainer(options: Namespace) -> None:
    """Refuses values of the trainer's options that Lightning would fail on, or train nothing by.

    Raises:
        ValueError: At the first.
    """
    for name in ("max_epochs", "max_steps", "limit_train_batches"):
        if options[name] == 0:
            raise ValueError(f"trainer.{name}: nothing would be trained (got 0)")
    for name in ("accumulate_grad_batches", "check_val_every_n_epoch"):
        if options[name] is not None and options[name] < 1:
            raise ValueError(f"trainer.{name}: expected at least 1 (got {options[name]})")
    if (options.gradient_clip_val or 0) < 0:
        raise ValueError(
            f"trainer.gradient_clip_val: expected at least 0 (got {options.gradient_clip_val})"
        )


def check_normalizers(options: Mapping[str, Any]) -> None:
    """Refuses normalisers that are neither a name nor a mapping with one.

    Raises:
        ValueError: At the first.
    """
    for key, value in options.items():
        if not isinstance(value, str) and not (isinstance(value, Mapping) and "name" in value):
            raise ValueError(
                f"model.normalizers.{key}: expected a name, or a mapping with 'name' (got {value})"
            )
