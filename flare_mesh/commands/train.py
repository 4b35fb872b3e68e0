"""``flare-mesh fit``, ``validate`` and ``test``: Lightning's command line for fields on meshes."""

import itertools
import logging
import sys
import time
import warnings
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning import LightningModule, Trainer
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import Callback, Checkpoint, ModelCheckpoint, RichProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI
from lightning.pytorch.loggers import TensorBoardLogger

from flare_mesh.commands.option_check import check_arguments, check_config_file, prefixes
from flare_mesh.files import check_folder
from flare_mesh.surrogate_files import load_surrogate
from flare_mesh.training.build import build_module, check_model
from flare_mesh.training.checkpoint_io import AtomicCheckpointIO, read_checkpoint
from flare_mesh.training.data_module import FieldDataModule
from flare_mesh.training.last_checkpoint import LastCheckpoint
from flare_mesh.training.run_folder import (
    RunFolder,
    peak_memory,
    write_csv,
    write_json,
)

LAST, BEST = "checkpoints/last.ckpt", "checkpoints/best.ckpt"
"""Checkpoints in a run's folder: of its last epoch, and of the best on validation cases."""


class FieldCLI(LightningCLI):
    """Trains and tests by one configuration: ``trainer``, ``model``, ``data``, ``out``.

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
            "--overwrite", type=bool, default=False, help="Replace a run that is there already."
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
            check_arguments(args[1:], {*known, "help", "print_config"})
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

    def before_instantiate_classes(self) -> None:
        """Refuses what cannot work before any data are opened."""
        options = self.options
        check_model(options.model.name, options.model.options or {})
        self.folder = Path(options.out)
        check_folder(self.folder / "config.yaml")
        if options.keep not in (None, "best", "last"):
            raise ValueError(f"keep: expected 'best' or 'last' (got '{options.keep}')")
        if options.keep == "best" and options.data.val_split is None:
            raise ValueError("keep: 'best' needs validation cases; set data.val_split")
        if self.subcommand == "validate" and options.data.val_split is None:
            raise ValueError("validate: there are no validation cases; set data.val_split")
        path = options.ckpt_path
        if path in ("best", "last"):
            options["ckpt_path"] = path = str(self.folder / (BEST if path == "best" else LAST))
        if path is not None:
            read_checkpoint(path)
        elif self.subcommand == "fit" and not options.overwrite:
            found = [name for name in ("config.yaml", LAST) if (self.folder / name).exists()]
            if found:
                raise ValueError(
                    f"{self.folder}: holds a run already ({found[0]}); go on with --resume "
                    f"{self.folder}, choose another --out, or replace it by --overwrite true"
                )
        # Advice on loader workers and logging that does not fit what is done here.
        warnings.simplefilter("ignore", PossibleUserWarning)
        # What is meant to be: a run that is resumed has checkpoints.
        warnings.filterwarnings("ignore", message=".*(Checkpoint directory|when using `ckpt_path`)")
        # Between Lightning and torch.
        warnings.filterwarnings("ignore", message=".*treespec.*")

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        given = self._get(self.config_init, "trainer")
        fitting = self.subcommand == "fit"
        self.run = RunFolder(self.folder, self._config_text())
        on_terminal = sys.stdout.isatty()
        added: list[Callback] = [self.run] if fitting else []
        if fitting:
            added += self._checkpoints()
        if given["enable_progress_bar"] is not False:
            added.append(RichProgressBar() if on_terminal else PrintProgress())
        kwargs["enable_progress_bar"] = on_terminal and given["enable_progress_bar"] is not False
        kwargs["callbacks"] = [*_as_list(given["callbacks"]), *added]
        kwargs["plugins"] = [*_as_list(given["plugins"]), AtomicCheckpointIO()]
        kwargs["default_root_dir"] = given["default_root_dir"] or str(self.folder)
        if given["logger"] is None:
            kwargs["logger"] = (
                TensorBoardLogger(self.folder, name="tensorboard", version="") if fitting else False
            )
        return super().instantiate_trainer(**kwargs)

    def _checkpoints(self) -> list[Callback]:
        found: list[Callback] = []
        if self.options.data.val_split is not None:
            found.append(
                ModelCheckpoint(
                    (self.folder / BEST).parent,
                    "best",
                    monitor="val_relative_l2",
                    save_on_train_epoch_end=True,
                    enable_version_counter=False,
                )
            )
        # The last of all, for it holds the state of the others.
        return [*found, LastCheckpoint(self.folder / LAST, self.options.checkpoint_steps)]

    def _config_text(self) -> str:
        assert self.subcommand is not None
        parser = self._parser(self.subcommand)
        options = self.options.clone()
        options["ckpt_path"] = None
        options["overwrite"] = False
        return parser.dump(options, skip_none=False, skip_link_targets=True)

    def fit(self, model: Any, **kwargs: Any) -> None:
        """Trains, tests the epoch that is kept, and writes its surrogate."""
        trainer, start = self.trainer, time.perf_counter()
        trainer.fit(model, **kwargs)
        kept = self._kept_checkpoint()
        summary: dict[str, Any] = {
            "parameters": sum(p.numel() for p in model.surrogate.model.parameters()),
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "kept": kept.stem,
            "train_seconds": round(self.run.seconds, 3),
            "seconds_per_step": self.run.seconds / max(1, self.run.steps),
            "peak_memory_bytes": peak_memory(trainer.strategy.root_device),
        }
        if self.options.data.test_split is not None:
            summary |= self._test(model, kwargs["datamodule"], str(kept))
        summary["total_seconds"] = round(time.perf_counter() - start, 3)
        if not trainer.is_global_zero:
            return
        # From the file: a strategy may have spread the weights over the processes.
        load_surrogate(kept).save(self.folder)
        if self.options.model.ema is not None:
            load_surrogate(kept, ema=True).save(self.folder / "ema")
        write_json(self.folder / "summary.json", summary)
        print(
            f"trained {summary['parameters']:,} parameters for {summary['steps']:,} steps in "
            f"{summary['train_seconds']:.0f} s; kept the {summary['kept']} epoch: {self.folder}"
        )

    def _keeps_best(self) -> bool:
        options = self.options
        if options.keep is not None:
            return options.keep == "best"
        val, test = options.data.val_split, options.data.test_split
        return val is not None and val != test

    def test(self, model: Any, ckpt_path: str | None = None, **kwargs: Any) -> None:
        """Tests a checkpoint; the errors of each case go into ``test_cases.csv``."""
        path = ckpt_path or str(self._kept_checkpoint())
        errors = self._test(model, kwargs["datamodule"], path)
        if self.trainer.is_global_zero:
            write_json(self.folder / "test.json", {"checkpoint": path, **errors})

    def validate(self, model: Any, ckpt_path: str | None = None, **kwargs: Any) -> None:
        """Validates a checkpoint."""
        self.trainer.validate(
            model, ckpt_path=ckpt_path or str(self._kept_checkpoint()), verbose=False, **kwargs
        )
        if self.trainer.is_global_zero:
            for name, value in self.trainer.callback_metrics.items():
                print(f"{name}: {float(value):.5f}")

    def _kept_checkpoint(self) -> Path:
        """The checkpoint whose weights count."""
        best, last = self.folder / BEST, self.folder / LAST
        path = best if self._keeps_best() and best.is_file() else last
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no checkpoint there; name the run by --run FOLDER, or a checkpoint by "
                f"--ckpt_path"
            )
        return path

    def _test(self, model: Any, data: Any, path: str | None) -> dict[str, Any]:
        self.trainer.test(model, datamodule=data, ckpt_path=path, verbose=False)
        metrics = self.trainer.callback_metrics
        groups = {"test_relative_l2": "test", "test_ema_relative_l2": "test_ema",
                  "mean_relative_l2": "test_mean"}  # fmt: skip
        found: dict[str, Any] = {}
        for title, name in groups.items():
            if f"{name}_relative_l2" in metrics:
                found[title] = {
                    field: float(metrics[f"{name}_relative_l2_{field}"])
                    for field in model.surrogate.fields
                }
        if self.trainer.is_global_zero:
            write_csv(self.folder / "test_cases.csv", model.test_cases)
            print("relative L2 error on the test cases (predicting the training mean):")
            for field, error in found["test_relative_l2"].items():
                mean = found["mean_relative_l2"][field]
                averaged = found.get("test_ema_relative_l2", {}).get(field)
                more = "" if averaged is None else f", averaged weights {averaged:.4f}"
                print(f"  {field:<16} {error:.4f} ({mean:.4f}{more})", flush=True)
        return found


class PrintProgress(Checkpoint):
    """A line for each tenth of the epochs, where there is no terminal to draw a bar on.

    With the checkpoint callbacks for their place in an epoch: after all is logged.
    """

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epochs, done = trainer.max_epochs or 1, trainer.current_epoch + 1
        if trainer.is_global_zero and (done == epochs or done % max(1, epochs // 10) == 0):
            known = trainer.callback_metrics
            values = ", ".join(
                f"{name.replace('_', ' ')} {float(known[name]):.4f}"
                for name in ("train_loss", "val_relative_l2")
                if name in known
            )
            print(f"epoch {done}/{epochs}: {values}", flush=True)


def _as_list(values: Any) -> list[Any]:
    if values is None:
        return []
    return list(values) if isinstance(values, list | tuple) else [values]
