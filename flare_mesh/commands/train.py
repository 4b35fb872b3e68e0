"""``flare-mesh fit``, ``validate`` and ``test``: Lightning's command line for fields on meshes."""

import sys
import time
import warnings
from pathlib import Path
from typing import Any

from lightning import Trainer
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from flare_mesh.commands.training_options import (
    TrainingOptions,
    check_given,
    check_normalizers,
    check_trainer,
)
from flare_mesh.devices import peak_memory
from flare_mesh.files import check_folder
from flare_mesh.surrogate.checkpoint import read_checkpoint
from flare_mesh.surrogate.load import load_surrogate
from flare_mesh.training.best_checkpoint import BestCheckpoint
from flare_mesh.training.build import check_model
from flare_mesh.training.checkpoint_io import AtomicCheckpointIO
from flare_mesh.training.data_module import FieldDataModule
from flare_mesh.training.final_validation import FinalValidation
from flare_mesh.training.last_checkpoint import LastCheckpoint
from flare_mesh.training.plain_progress import PlainProgress
from flare_mesh.training.run_folder import (
    RunFolder,
    write_csv,
    write_json,
    written_files,
)

LAST, BEST = "checkpoints/last.ckpt", "checkpoints/best.ckpt"
"""Checkpoints in a run's folder: of its last epoch, and of the best on validation cases."""


class FieldCLI(TrainingOptions):
    """Trains and tests by one configuration.

    Args:
        args: Arguments of the command; those of the process by default.
    """

    best: BestCheckpoint | None = None
    """Of a fit with validation cases."""

    def before_instantiate_classes(self) -> None:
        """Refuses what cannot work before any data are opened."""
        if self.options.out in ("", "null", "None"):
            raise ValueError(f"out: expected the run's folder (got '{self.options.out}')")
        self.folder = Path(self.options.out)
        check_folder(self.folder / "config.yaml")
        self._check_options()
        self._check_checkpoint()
        # Advice on loader workers and logging that does not fit what is done here.
        warnings.simplefilter("ignore", PossibleUserWarning)
        # What is meant to be: a run that is resumed has checkpoints.
        warnings.filterwarnings("ignore", message=".*(Checkpoint directory|when using `ckpt_path`)")
        # Between Lightning and torch.
        warnings.filterwarnings("ignore", message=".*treespec.*")

    def _check_options(self) -> None:
        options = self.options
        check_given(self._parser(str(self.subcommand)), options)
        check_trainer(options.trainer)
        if options.data.test_split is not None and options.trainer.limit_test_batches == 0:
            raise ValueError("trainer.limit_test_batches: 0; set data.test_split=null to not test")
        check_model(options.model.name, options.model.options or {})
        check_normalizers(options.model.normalizers or {})
        if options.keep not in (None, "best", "last"):
            raise ValueError(f"keep: expected 'best' or 'last' (got '{options.keep}')")
        if options.keep == "best" and options.data.val_split is None:
            raise ValueError("keep: 'best' needs validation cases; set data.val_split")
        if self.subcommand == "validate" and options.data.val_split is None:
            raise ValueError("validate: there are no validation cases; set data.val_split")

    def _check_checkpoint(self) -> None:
        """Reads the checkpoint to go on from; without one, refuses to write into another run."""
        options = self.options
        path = options.ckpt_path
        if path in ("best", "last"):
            options["ckpt_path"] = path = str(self.folder / (BEST if path == "best" else LAST))
        if path is not None:
            if path == str(self.folder / LAST) and not Path(path).is_file():
                raise FileNotFoundError(
                    f"{path}: no checkpoint there; begin the run anew by --overwrite"
                )
            read_checkpoint(path)
        elif self.subcommand == "fit" and not options.overwrite:
            names = [LAST, BEST, "metrics.csv", "config.yaml"]
            if (self.folder / "environment.json").exists():
                names.pop()  # of a run that ended before its first epoch did
            found = [name for name in names if (self.folder / name).exists()]
            if found:
                raise ValueError(
                    f"{self.folder}: holds a run already ({found[0]}); go on with --resume "
                    f"{self.folder}, choose another --out, or replace it by --overwrite"
                )

    def instantiate_trainer(self, **kwargs: Any) -> Trainer:
        """The trainer that is asked for, with what each run has."""
        given = self._get(self.config_init, "trainer")
        fitting = self.subcommand == "fit"
        shows = given["enable_progress_bar"] is not False
        on_terminal = sys.stdout.isatty()
        added = self._run_callbacks() if fitting else []
        if shows and on_terminal:
            added.append(RichProgressBar())
        elif shows and fitting:
            added.append(PlainProgress())
        kwargs["enable_progress_bar"] = shows and on_terminal
        kwargs["callbacks"] = [*_as_list(given["callbacks"]), *added]
        self._check_monitors(_as_list(given["callbacks"]))
        kwargs["plugins"] = [*_as_list(given["plugins"]), AtomicCheckpointIO()]
        kwargs["default_root_dir"] = given["default_root_dir"] or str(self.folder)
        if given["logger"] is None:
            kwargs["logger"] = (
                TensorBoardLogger(self.folder, name="events", version="") if fitting else False
            )
        try:
            return super().instantiate_trainer(**kwargs)
        except (TypeError, OverflowError, MisconfigurationException) as error:
            # All that Lightning is given here are the user's options, and ours that do not vary.
            raise ValueError(f"trainer: {' '.join(str(error).split())}") from error

    def _check_monitors(self, callbacks: list[Callback]) -> None:
        for callback in callbacks:
            monitor = str(getattr(callback, "monitor", ""))
            if monitor.startswith("val_") and self.options.data.val_split is None:
                raise ValueError(
                    f"trainer.callbacks: {type(callback).__name__} looks at {monitor}, and there "
                    f"are no validation cases; set data.val_split"
                )

    def _run_callbacks(self) -> list[Callback]:
        options = self.options
        replace = options.overwrite and not self._resumes()
        self.run = RunFolder(self.folder, self._config_text(), replace=replace)
        found: list[Callback] = [self.run]
        if options.data.val_split is not None:
            self.best = BestCheckpoint(self.folder / BEST)
            found += [FinalValidation(), self.best]
        # The last of all, for it holds the state of the others.
        return [*found, LastCheckpoint(self.folder / LAST, options.checkpoint_steps)]

    def _resumes(self) -> bool:
        """Whether this run goes on, rather than a new one from another's checkpoint."""
        path = self.options.ckpt_path
        return path is not None and Path(path).resolve().is_relative_to(self.folder.resolve())

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
        data: FieldDataModule = kwargs["datamodule"]
        for stage in ("val", "test"):
            if data.has(stage):
                data.cases(stage)  # what is missing is told before training
        before = set(written_files(self.folder))
        try:
            trainer.fit(model, **kwargs)
        except BaseException:
            if trainer.is_global_zero and not self.run.started:
                self._discard({*written_files(self.folder)} - before)
            raise
        kept = self._trained_checkpoint()
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

    def _discard(self, written: set[Path]) -> None:
        """Removes what a run that did not begin has written."""
        for path in written:
            path.unlink()
        for path in (self.folder / "events", self.folder):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()

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

    def _trained_checkpoint(self) -> Path:
        """The checkpoint of the training that just ended whose weights count."""
        if self._keeps_best() and self.best is not None and self.best.best_model_path:
            return Path(self.best.best_model_path)
        return self.folder / LAST

    def _kept_checkpoint(self) -> Path:
        """The checkpoint in the run's folder whose weights count."""
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


def _as_list(values: Any) -> list[Any]:
    if values is None:
        return []
    return list(values) if isinstance(values, list | tuple) else [values]
