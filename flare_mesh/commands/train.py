"""``flare-mesh fit``, ``validate`` and ``test``: Lightning's command line for fields on meshes."""

import sys
import time
import warnings
from collections.abc import Sequence
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

from flare_mesh.commands.band_report import calibrate_run, report_bands, saved_bands
from flare_mesh.commands.baseline_report import (
    baseline_errors,
    baseline_table,
    print_baselines,
)
from flare_mesh.commands.error_report import collect_errors, print_errors
from flare_mesh.commands.scale_report import ScaleReport
from flare_mesh.commands.training_checks import (
    DEFAULT_BUDGET,
    check_monitors,
    check_options,
    set_default_budget,
)
from flare_mesh.commands.training_options import TrainingOptions
from flare_mesh.devices import peak_memory
from flare_mesh.files import check_folder
from flare_mesh.surrogate.calibrate import DescribedPrediction
from flare_mesh.surrogate.checkpoint import BEST, LAST, read_checkpoint
from flare_mesh.surrogate.load import load_surrogate
from flare_mesh.surrogate.square_average import EVALUATIONS
from flare_mesh.training.best_checkpoint import BestCheckpoint
from flare_mesh.training.budget_plan import plan_budget
from flare_mesh.training.budget_progress_bar import BudgetProgressBar
from flare_mesh.training.checkpoint_io import AtomicCheckpointIO
from flare_mesh.training.data_module import FieldDataModule
from flare_mesh.training.duration import parse_duration
from flare_mesh.training.final_validation import FinalValidation
from flare_mesh.training.last_checkpoint import LastCheckpoint
from flare_mesh.training.module import FieldModule
from flare_mesh.training.plain_progress import PlainProgress
from flare_mesh.training.prediction_record import PredictionRecord
from flare_mesh.training.run_folder import RunFolder, write_csv, write_json, written_files
from flare_mesh.training.run_lock import is_first_process, run_lock
from flare_mesh.training.time_budget import TimeBudget


class FieldCLI(TrainingOptions):
    """Training, validation and test with one configuration.

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
        check_options(self.subcommand, self._parser(self.subcommand), self.options)
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

    def build_model(self, data: FieldDataModule, *args: Any, **given: Any) -> FieldModule:
        """Build the module; with a time budget, after the choice of what is left open."""
        options = self.options
        if self.subcommand == "fit" and options.budget is not None:
            size = given.pop("size")
            if options.ckpt_path is None and (size == "auto" or options.data.epoch_batches is None):
                plan = plan_budget(
                    data,
                    parse_duration(options.budget),
                    lambda name: super(FieldCLI, self).build_model(data, *args, **given, size=name),
                    size=size,
                    trainer=options.trainer,
                    evaluations=EVALUATIONS if options.model.average_symmetries else 1,
                )
                print("\n".join(plan.lines()), flush=True)
                options.model.size = size = plan.size
            module = super().build_model(data, *args, **given, size=size)
            # Automatic choices of the data depend on it.
            data.edges = module.surrogate.model.uses_edges
            # The run's configuration names what was chosen.
            options.data.batch_size, options.data.sample_nodes = data.resolve()
            options.data.epoch_batches = data.epoch_batches
            return module
        return super().build_model(data, *args, **given)

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
        found: list[Callback] = [self.run, ScaleReport()]
        if options.budget is not None:
            found.append(TimeBudget(options.budget))
        if options.data.val_split is not None:
            self.best = BestCheckpoint(self.folder / BEST)
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

    def fit(self, model: Any, **kwargs: Any) -> None:
        """Train, test the best or the last epoch, and save its surrogate."""
        trainer, start = self.trainer, time.perf_counter()
        data: FieldDataModule = kwargs["datamodule"]
        for stage in ("val", "test"):
            if data.has(stage):
                data.cases(stage)  # missing files are found before training
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
            "parameters": sum(p.numel() for p in model.surrogate.model.parameters()),
            "epochs": trainer.current_epoch,
            "steps": trainer.global_step,
            "passes": data.passes(trainer.global_step * trainer.accumulate_grad_batches),
            "kept": trained.stem,
            "train_seconds": round(self.run.seconds, 3),
            "seconds_per_step": self.run.seconds / max(1, self.run.steps),
            "peak_memory_bytes": peak_memory(trainer.strategy.root_device),
        }
        # In other precisions the saved surrogate predicts other values than the test.
        exact = trainer.world_size == 1 and trainer.precision == "32-true"
        if exact and data.has("val") and self.options.coverage is not None:
            model.record = PredictionRecord()
        if self.options.data.test_split is not None:
            summary |= self._test(model, data, str(trained))
        if not trainer.is_global_zero:
            return
        tested = () if model.record is None else model.record.cases
        summary |= self._save_surrogates(trained, data, tested)
        summary["total_seconds"] = round(time.perf_counter() - start, 3)
        write_json(self.folder / "summary.json", summary)
        print(
            f"trained {summary['parameters']:,} parameters for {summary['steps']:,} steps in "
            f"{summary['train_seconds']:.0f} s; kept the {summary['kept']} epoch: {self.folder}"
        )

    def _save_surrogates(
        self, trained: Path, data: FieldDataModule, tested: Sequence[DescribedPrediction]
    ) -> dict[str, Any]:
        """Save the surrogate, and the averaged one; calibrate both, and test the bands.

        Args:
            trained: The checkpoint.
            data: The cases.
            tested: Predictions of the test cases by the surrogate of the checkpoint, if kept.
        """
        found: dict[str, Any] = {}
        device, ema = self.trainer.strategy.root_device, self.options.model.ema is not None
        for folder in [self.folder, *([self.folder / "ema"] if ema else [])]:
            # From the file, since a strategy may have spread the weights over the processes.
            surrogate = load_surrogate(trained, ema=folder != self.folder)
            surrogate.save(folder)  # kept if the calibration fails
            reason = calibrate_run(surrogate.to(device), data, self.options.coverage)
            surrogate.save(folder)
            if folder != self.folder:
                continue
            if reason:
                print(f"no bands: {reason}", flush=True)
            elif data.has("test"):
                found["bands"] = report_bands(surrogate, data, tested)
        return found

    def _discard(self, written: set[Path]) -> None:
        """Remove the files of a run that failed before its first step."""
        for path in written:
            path.unlink()
        for path in (self.folder / "events", self.folder):
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()

    def test(self, model: Any, ckpt_path: str | None = None, **kwargs: Any) -> None:
        """Test a checkpoint; the errors of each case are written to ``test_cases.csv``."""
        path = ckpt_path or str(self._saved_checkpoint())
        errors = self._test(model, kwargs["datamodule"], path)
        if self.trainer.is_global_zero:
            surrogate = saved_bands(self.folder, path)
            if surrogate is not None:
                device = self.trainer.strategy.root_device
                errors["bands"] = report_bands(surrogate.to(device), kwargs["datamodule"])
            write_json(self.folder / "test.json", {"checkpoint": path, **errors})

    def validate(self, model: Any, ckpt_path: str | None = None, **kwargs: Any) -> None:
        """Validate a checkpoint."""
        self.trainer.validate(
            model, ckpt_path=ckpt_path or str(self._saved_checkpoint()), verbose=False, **kwargs
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

    def _saved_checkpoint(self) -> Path:
        """Checkpoint to evaluate in the folder of a run."""
        best, last = self.folder / BEST, self.folder / LAST
        path = best if self._uses_best() and best.is_file() else last
        if not path.is_file():
            raise FileNotFoundError(
                f"{path}: no checkpoint; give the run's folder by --run, or a checkpoint by "
                f"--ckpt_path"
            )
        return path

    def _test(self, model: Any, data: Any, path: str) -> dict[str, Any]:
        self.trainer.test(model, datamodule=data, ckpt_path=path, verbose=False)
        errors = collect_errors(self.trainer.callback_metrics, model.surrogate.fields)
        if self.trainer.is_global_zero:
            write_csv(self.folder / "test_cases.csv", model.test_cases)
            print_errors(errors)
            if self.options.baselines:
                found = baseline_errors(model, data)
                errors["baselines"] = baseline_table(found)
                print_baselines(found, errors["test_relative_l2"])
        return errors


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
