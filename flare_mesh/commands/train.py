"""``flare-mesh fit``, ``validate`` and ``test`` of surrogates: fields on meshes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import Callback
from lightning.pytorch.cli import LightningArgumentParser

from flare_mesh.commands.band_report import calibrate_run, report_bands, saved_bands
from flare_mesh.commands.baseline_report import (
    baseline_errors,
    baseline_table,
    print_baselines,
)
from flare_mesh.commands.error_report import collect_errors, print_errors
from flare_mesh.commands.run_command import RunCommand
from flare_mesh.commands.scale_report import ScaleReport
from flare_mesh.commands.training_checks import check_field_options
from flare_mesh.surrogate.calibrate import DescribedPrediction
from flare_mesh.surrogate.load import load_surrogate
from flare_mesh.surrogate.square_average import EVALUATIONS
from flare_mesh.training.best_checkpoint import BestCheckpoint
from flare_mesh.training.budget_plan import plan_budget
from flare_mesh.training.build import build_module
from flare_mesh.training.data_module import FieldDataModule
from flare_mesh.training.duration import parse_duration
from flare_mesh.training.module import FieldModule
from flare_mesh.training.prediction_record import PredictionRecord
from flare_mesh.training.run_folder import write_csv, write_json


class FieldCLI(RunCommand):
    """Training, validation and test of a surrogate with one configuration."""

    BUILD = staticmethod(build_module)
    DATA = FieldDataModule

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        super().add_arguments_to_parser(parser)
        parser.add_argument(
            "--coverage",
            type=float | None,
            default=0.9,
            help="Share of the nodes of a new case that the bands of a prediction cover, which fit "
            "calibrates on the validation cases; null for no bands.",
        )

    def check(self) -> None:
        assert self.subcommand is not None
        check_field_options(self.subcommand, self._parser(self.subcommand), self.options)

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

    def more_callbacks(self) -> list[Callback]:
        return [ScaleReport()]

    def best_checkpoint(self, path: Path) -> BestCheckpoint:
        return BestCheckpoint(path)

    def open_data(self, data: FieldDataModule) -> None:
        for stage in ("val", "test"):
            if data.has(stage):
                data.cases(stage)

    def evaluate(self, model: FieldModule, data: FieldDataModule, trained: Path) -> dict[str, Any]:
        """Test the surrogate of a checkpoint, save and calibrate it, and test its bands."""
        trainer, found = self.trainer, {}
        # In other precisions the saved surrogate predicts other values than the test.
        exact = trainer.world_size == 1 and trainer.precision == "32-true"
        if exact and data.has("val") and self.options.coverage is not None:
            model.record = PredictionRecord()
        if self.options.data.test_split is not None:
            found |= self._test(model, data, str(trained))
        if trainer.is_global_zero:
            tested = () if model.record is None else model.record.cases
            found |= self._save_surrogates(trained, data, tested)
        return found

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

    def test(self, model: Any, ckpt_path: str | None = None, **kwargs: Any) -> None:
        """Test a checkpoint; the errors of each case are written to ``test_cases.csv``."""
        path = ckpt_path or str(self.saved_checkpoint())
        errors = self._test(model, kwargs["datamodule"], path)
        if self.trainer.is_global_zero:
            surrogate = saved_bands(self.folder, path)
            if surrogate is not None:
                device = self.trainer.strategy.root_device
                errors["bands"] = report_bands(surrogate.to(device), kwargs["datamodule"])
            write_json(self.folder / "test.json", {"checkpoint": path, **errors})

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
