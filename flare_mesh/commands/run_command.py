"""A training, validation or test by a configuration, for any kind of model and data."""

import sys
import time
import warnings
from abc import abstractmethod
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import Any

from jsonargparse import Namespace
from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from flare_mesh.commands.training_checks import (
    DEFAULT_BUDGET,
    check_monitors,
    set_default_budget,
)
from flare_mesh.commands.training_options import TrainingOptions
from flare_mesh.devices import peak_memory
from flare_mesh.files import check_folder
from flare_mesh.surrogate.checkpoint import BEST, LAST, read_checkpoint
from flare_mesh.training.best_checkpoint import BestCheckpoint
from flare_mesh.training.budget_progress_bar import BudgetProgressBar
from flare_mesh.training.checkpoint_io import AtomicCheckpointIO
from flare_mesh.training.final_validation import FinalValidation
from flare_mesh.training.last_checkpoint import LastCheckpoint
from flare_mesh.training.plain_progress import PlainProgress
from flare_mesh.training.run_folder import RunFolder, write_json, written_files
from flare_mesh.training.run_lock import is_first_process, run_lock
from flare_mesh.training.time_budget import TimeBudget
from flare_mesh.training.training_module import TrainingModule


class RunCommand(TrainingOptions):
    """Training, validation and test with one configuration, in a run's folder.

    Args:
        args: Arguments of the command; the process's by default.
        trust_config: Accept any class that the options name, which can run any code.

    Attributes:
        folder: Folder of the run.
        run: Writer of the run's files, for ``fit``.
        best: Checkpoint of the best epoch, for ``fit`` with validation cases.
    """

    best: BestCheckpoint | None = None

    def __init__(self, args: list[str] | None = None, *, trust_config: bool = False) -> None:
        with ExitStack() as self._on_exit:
            super().__init__(args, trust_config=trust_config)

    @abstractmethod
    def check(self) -> None:
        """Check the options' values before any data are opened."""

    @abstractmethod
    def open_data(self, data: Any) -> None:
        """Open the cases of validation and test, so that missing files are found now."""

    @abstractmethod
    def best_checkpoint(self, path: Path) -> BestCheckpoint:
        """Callback that keeps the best epoch on the validation cases."""

    @abstractmethod
    def evaluate(self, model: Any, data: Any, trained: Path) -> dict[str, Any]:
        """Test a trained model and save it; returns what belongs into ``summary.json``."""

    def more_callbacks(self) -> list[Callback]:
        """Further callbacks of a training."""
        return []

    def before_instantiate_classes(self) -> None:
        """Check options and checkpoint before any data are opened."""
        assert self.subcommand is not None
        if self.options.out in ("", "null", "None"):
            raise ValueError(f"out: expected the run's folder (got '{self.options.out}')")
        self.folder = Path(self.options.out)
        check_folder(self.folder / "config.yaml")
        if self.subcommand == "fit" and set_default_budget(self.options):
            print(
                f"no length of the training is given: it takes {DEFAULT_BUDGET} (set budget, "
                f"trainer.max_epochs or trainer.max_steps)",
                flush=True,
            )
        self.check()
        if self.subcommand == "fit" and is_first_process():
            self._on_exit.enter_context(run_lock(self.folder))
        self._check_checkpoint()
        # Lightning's advice on loader workers and logging does not fit.
        warnings.simplefilter("ignore", PossibleUserWarning)
        # A resumed run is meant to have checkpoints.
        warnings.filterwarnings("ignore", message=".*(Checkpoint directory|when using `ckpt_path`)")
        # Lightning calls a deprecated function of torch.
        warnings.filterwarnings("ignore", message=".*treespec.*")

    def _check_checkpoint(self) -> None:
        """Read the checkpoint to resume; without one, refuse to write into another run."""
        options = self.options
        path = options.ckpt_path
        if path in ("best", "last"):
            options["ckpt_path"] = path = str(self.folder / (BEST if path == "best" else LAST))
        if path is not None:
            if path == str(self.folder / LAST) and not Path(path).is_file():
                raise FileNotFoundError(f"{path}: no checkpoint; start a new run by --overwrite")
            read_checkpoint(path)
        elif self.subcommand == "fit" and not options.overwrite:
            names = [LAST, BEST, "metrics.csv", "config.yaml"]
            if (self.folder / "environment.json").exists():
                names.pop()  # its run ended before the first epoch did
            found = [name for name in names if (self.folder / name).exists()]
            if found:
                raise ValueError(
                    f"{self.folder}: has a run already ({found[0]}); continue it by --resume "
                    f"{self.folder}, choose another --out, or replace it by --overwrite"
                )

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """Trainer with the user's options, and the callbacks and plug-ins of every run."""
        given = self._get(self.config_init, "trainer")
        fitting = self.subcommand == "fit"
        shows = given["enable_progress_bar"] is not False
        on_terminal = sys.stdout.isatty()
        check_monitors(_as_list(given["callbacks"]), self.options)
        added = self._run_callbacks() if fitting else []
        if shows and on_terminal:
            added.append(BudgetProgressBar())
        elif shows and fitting:
            added.append(PlainProgress())
        kwargs["enable_progress_bar"] = shows and on_terminal
        kwargs["callbacks"] = [*_as_list(given["callbacks"]), *added]
        kwargs["plugins"] = [*_as_list(given["plugins"]), AtomicCheckpointIO()]
        kwargs["default_root_dir"] = given["default_root_dir"] or str(self.folder)
        if given["logger"] is None:
            kwargs["logger"] = (
                TensorBoardLogger(self.folder, name="events", version="") if fitting else False
            )
        try:
            return super().instantiate_trainer(**kwargs)
        except (TypeError, OverflowError, MisconfigurationException) as error:
            # Only the user's options vary here, so the error is about them.
            raise ValueError(f"trainer: {' '.join(str(error).split())}") from error

    def _run_callbacks(self) -> list[Callback]:
        options = self.options
        replace = options.overwrite and not self._is_resumed()
        self.run = RunFolder(self.folder, self._config_text(), replace=replace)
        found: list[Callback] = [self.run, *self.more_callbacks()]
        if options.budget is not None:
            found.append(TimeBudget(options.budget))
        if options.data.val_split is not None:
            self.best = self.best_checkpoint(self.folder / BEST)
            found += [FinalValidation(), self.best]
        # Last, since it saves the state of the others.
        return [*found, LastCheckpoint(self.folder / LAST, options.checkpoint_steps)]

    def _is_resumed(self) -> bool:
        """Whether the checkpoint is from this run; a new run may start from another run's."""
        path = self.options.ckpt_path
        return path is not None and Path(path).resolve().is_relative_to(self.folder.resolve())

    def _config_text(self) -> str:
        assert self.subcommand is not None
        options = self.options.clone()
        options["ckpt_path"] = None
        options["overwrite"] = False
        options["trainer"]["callbacks"] = _plain(options.trainer.callbacks)
        parser = self._parser(self.subcommand)
        return parser.dump(options, skip_none=False, skip_link_targets=True)

    def fit(self, model: TrainingModule, **kwargs: Any) -> None:
        """Train, test the best or the last epoch, and save it."""
        trainer, start = self.trainer, time.perf_counter()
        data: Any = kwargs["datamodule"]
        self.open_data(data)
        before = set(written_files(self.folder))
        if self.options.overwrite and not self._is_resumed():
            # On SLURM, Lightning would start the new run from what the old one saved for a requeue.
            for path in self.folder.glob("hpc_ckpt_*.ckpt"):
                path.unlink(missing_ok=True)
        try:
            trainer.fit(model, **kwargs)
        except BaseException:
            if trainer.is_global_zero and not self.run.started:
                self._discard({*written_files(self.folder)} - before)
            raise
        trained = self._trained_checkpoint()
        summary: dict[str, Any] = {
            "parameters": sum(p.numel() for p in model.network.parameters()),
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "passes": data.passes(trainer.global_step * trainer.accumulate_grad_batches),
            "kept": trained.stem,
            "train_seconds": round(self.run.seconds, 3),
            "seconds_per_step": self.run.seconds / max(1, self.run.steps),
            "peak_memory_bytes": peak_memory(trainer.strategy.root_device),
        }
        summary |= self.evaluate(model, data, trained)
        if not trainer.is_global_zero:
            return
        summary["total_seconds"] = round(time.perf_counter() - start, 3)
        write_json(self.folder / "summary.json", summary)
        print(
            f"trained {summary['parameters']:,} parameters for {summary['steps']:,} steps in "
            f"{summary['train_seconds']:.0f} s; kept the {summary['kept']} epoch: {self.folder}"
        )

    def _discard(self, written: set[Path]) -> None:
        """Remove the files of a run that failed before its first step."""
        for path in written:
            path.unlink()
        for path in (self.folder / "events", self.folder):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    def validate(self, model: Any, ckpt_path: str | None = None, **kwargs: Any) -> None:
        """Validate a checkpoint."""
        self.trainer.validate(
            model, ckpt_path=ckpt_path or str(self.saved_checkpoint()), verbose=False, **kwargs
        )
        if self.trainer.is_global_zero:
            for name, value in self.trainer.callback_metrics.items():
                print(f"{name}: {float(value):.5f}")

    def _uses_best(self) -> bool:
        """Whether the best epoch is tested and saved, rather than the last."""
        options = self.options
        if options.keep is not None:
            return options.keep == "best"
        val, test = options.data.val_split, options.data.test_split
        return val is not None and val != test

    def _trained_checkpoint(self) -> Path:
        """Checkpoint to test and to save after the training of this process."""
        if self._uses_best() and self.best is not None and self.best.best_model_path:
            return Path(self.best.best_model_path)
        return self.folder / LAST

    def saved_checkpoint(self) -> Path:
        """Checkpoint to evaluate in the folder of a run."""
        best, last = self.folder / BEST, self.folder / LAST
        path = best if self._uses_best() and best.is_file() else last
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no checkpoint; give the run's folder by --run, or a checkpoint by "
                f"--ckpt_path"
            )
        return path


def _plain(value: Any) -> Any:
    """Options with the values of enumerations, such as the interval of a Timer, for YAML."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Namespace):
        return Namespace(**{key: _plain(entry) for key, entry in vars(value).items()})
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list) else value


def _as_list(values: Any) -> list[Any]:
    if values is None:
        return []
    return list(values) if isinstance(values, list | tuple) else [values]
