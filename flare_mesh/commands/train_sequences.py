"""``flare-mesh fit``, ``validate`` and ``test`` of classifiers of sequences."""

from pathlib import Path
from typing import Any

from flare_mesh.baselines.majority import majority_accuracy
from flare_mesh.commands.run_command import RunCommand
from flare_mesh.commands.training_checks import check_options
from flare_mesh.models import SequenceModel
from flare_mesh.surrogate.checkpoint import read_checkpoint
from flare_mesh.training.best_checkpoint import BestCheckpoint
from flare_mesh.training.build_sequences import build_sequence_module, check_sequence_model
from flare_mesh.training.duration import parse_duration
from flare_mesh.training.run_folder import write_csv, write_json
from flare_mesh.training.sequence_data_module import SequenceDataModule
from flare_mesh.training.sequence_module import SequenceModule
from flare_mesh.training.sequence_plan import plan_sequences

_TEST = ("test_accuracy", "test_loss", "test_ema_accuracy", "test_ema_loss")


class SequenceCLI(RunCommand):
    """Training, validation and test of a classifier of sequences with one configuration."""

    BUILD = staticmethod(build_sequence_module)
    DATA = SequenceDataModule

    def check(self) -> None:
        assert self.subcommand is not None
        check_options(self.subcommand, self._parser(self.subcommand), self.options)
        check_sequence_model(self.options.model.name, self.options.model.options or {})

    def best_checkpoint(self, path: Path) -> BestCheckpoint:
        return BestCheckpoint(path, "val_accuracy", "max")

    def build_model(self, data: SequenceDataModule, *args: Any, **given: Any) -> SequenceModule:
        """Build the module; with a time budget, after the choice of what is left open."""
        options, budget = self.options, self.options.budget
        starts = self.subcommand == "fit" and options.ckpt_path is None
        if starts and budget is not None and data.epoch_batches is None:
            lines = plan_sequences(
                data,
                parse_duration(budget),
                lambda: build_sequence_module(data, *args, **given),
                options.trainer,
            )
            print("\n".join(lines), flush=True)
            # The run's configuration names what was chosen.
            options.data.epoch_batches = data.epoch_batches
        return build_sequence_module(data, *args, **given)

    def open_data(self, data: SequenceDataModule) -> None:
        for stage in ("val", "test"):
            if data.has(stage):
                data.dataset(stage)
        if self._validates_on_test:
            kept = "best" if self._uses_best() else "last"
            print(
                f"the validation samples of '{data.name}' are its test samples; the {kept} epoch "
                f"is kept",
                flush=True,
            )

    @property
    def _validates_on_test(self) -> bool:
        data: SequenceDataModule = self.datamodule  # pyright: ignore[reportAssignmentType]
        return data.has("val") and data.dataset("val").validation_is_test

    def _uses_best(self) -> bool:
        chosen = self.options.keep is not None
        return super()._uses_best() and (chosen or not self._validates_on_test)

    def evaluate(
        self, model: SequenceModule, data: SequenceDataModule, trained: Path
    ) -> dict[str, Any]:
        """Test the model of a checkpoint, and save it."""
        found: dict[str, Any] = {}
        if data.has("test"):
            found = self._test(model, data, str(trained))
        if self.trainer.is_global_zero:
            # From the file, since a strategy may have spread the weights over the processes.
            weights = read_checkpoint(trained)["state_dict"]
            _save(model.model, weights, "model.", self.folder / "model")
            if model.ema is not None:
                _save(model.model, weights, "ema.module.", self.folder / "ema")
        return found

    def test(self, model: SequenceModule, ckpt_path: str | None = None, **kwargs: Any) -> None:
        """Test a checkpoint; the predicted classes are written to ``test_cases.csv``."""
        path = ckpt_path or str(self.saved_checkpoint())
        found = self._test(model, kwargs["datamodule"], path)
        if self.trainer.is_global_zero:
            write_json(self.folder / "test.json", {"checkpoint": path, **found})

    def _test(self, model: SequenceModule, data: SequenceDataModule, path: str) -> dict[str, Any]:
        self.trainer.test(model, datamodule=data, ckpt_path=path, verbose=False)
        metrics = self.trainer.callback_metrics
        found: dict[str, Any] = {name: float(metrics[name]) for name in _TEST if name in metrics}
        if not self.trainer.is_global_zero:
            return found
        write_csv(self.folder / "test_cases.csv", model.test_cases)
        count, accuracy = len(model.test_cases), found["test_accuracy"]
        line = f"accuracy on {count:,} test samples: {accuracy:.2%}"
        if "test_ema_accuracy" in found:
            line += f", averaged weights {found['test_ema_accuracy']:.2%}"
        if self.options.baselines:
            train, test = data.dataset("train"), data.dataset("test")
            most, share = majority_accuracy(train.labels, test.labels)
            found["baselines"] = {"majority": {"class": train.class_names[most], "accuracy": share}}
            line += f" (always '{train.class_names[most]}': {share:.2%})"
        print(line, flush=True)
        return found


def _save(model: SequenceModel, weights: dict[str, Any], prefix: str, folder: Path) -> None:
    """Save a model of the same options with other weights."""
    same, own = SequenceModel(**model.config), len(prefix)
    same.load_state_dict(
        {key[own:]: value for key, value in weights.items() if key.startswith(prefix)}
    )
    same.save(folder)
