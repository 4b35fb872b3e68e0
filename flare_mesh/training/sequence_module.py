"""Lightning module that trains a classifier of sequences."""

import json
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from flare_mesh.documents import load_json
from flare_mesh.models import SequenceModel
from flare_mesh.training.checkpoint_check import describe_differences
from flare_mesh.training.error_sums import ErrorSums
from flare_mesh.training.optimizers import OptimizerConfig
from flare_mesh.training.schedules import ScheduleConfig
from flare_mesh.training.sequence_batch import SequenceBatch
from flare_mesh.training.training_module import TrainingModule


class SequenceModule(TrainingModule):
    """Training of a :class:`~flare_mesh.models.SequenceModel` by cross-entropy.

    Logs ``train_loss`` and ``train_accuracy``, and ``<stage>_loss`` and ``<stage>_accuracy`` for
    validation and test samples; with ``ema`` also ``<stage>_ema_loss`` and so on.

    Args:
        model: The model.
        optimizer: Optimiser and its options.
        schedule: Schedule of the learning rate, stepped after each optimiser step.
        ema: Decay of an exponential moving average of the weights, such as 0.999; None for none.
        compile: Whether the model is compiled by ``torch.compile``, for any number of tokens.
        seed: Seed of the random numbers of a step, for dropout.

    Attributes:
        test_cases: Each test sample: ``case``, its number, its ``label`` and the ``predicted``
            class.

    Raises:
        ValueError: If an option does not fit.
    """

    KEY = "sequence_model"
    BAR = ("train_loss", "train_accuracy", "val_accuracy")

    def __init__(
        self,
        model: SequenceModel,
        *,
        optimizer: OptimizerConfig = OptimizerConfig(),  # noqa: B008
        schedule: ScheduleConfig = ScheduleConfig(),  # noqa: B008
        ema: float | None = None,
        compile: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(optimizer=optimizer, schedule=schedule, seed=seed)
        self.model = model
        self.average(ema)
        if compile:
            model.compile(dynamic=True)
        self.test_cases: list[dict[str, int]] = []
        self._errors: dict[str, ErrorSums] = {}

    @property
    def trained(self) -> nn.Module:
        return self.model

    @property
    def network(self) -> nn.Module:
        return self.model

    def prepare_timing(self, data: Any) -> None:
        """Do nothing: a step needs no statistics of the data."""

    def training_step(self, batch: SequenceBatch, batch_idx: int = 0) -> Tensor:
        """Loss of a batch, weighted so that the sum over all processes is the mean."""
        self.begin_step(batch_idx)
        loss, errors = self._loss(self.model, batch)[:2]
        self._train_errors.add(errors, batch.weight[:, None].expand_as(errors))
        self.watch(loss, [f"sample {index}" for index in batch.samples[:4]])
        return loss

    def _loss(self, model: nn.Module, batch: SequenceBatch) -> tuple[Tensor, Tensor, Tensor]:
        """Weighted loss; loss and correctness of each sample [B, 2]; predicted classes [B]."""
        # In half precision the logarithm of a small share would be rounded.
        scores = model(batch.tokens, ptr=batch.ptr).float()
        losses = cross_entropy(scores, batch.y, reduction="none")
        predicted = scores.detach().argmax(-1)
        errors = torch.stack([losses.detach(), (predicted == batch.y).to(losses.dtype)], dim=1)
        return (losses * batch.weight).sum(), errors, predicted

    def on_train_epoch_end(self) -> None:
        self._monitor.check()
        self._log_means("train", self._train_errors)
        self._train_errors.reset()

    def validation_step(self, batch: SequenceBatch, batch_idx: int = 0) -> None:
        """Add up losses and correct answers of validation samples."""
        self._evaluate("val", batch)

    def on_validation_epoch_end(self) -> None:
        self._log_stage("val")

    def test_step(self, batch: SequenceBatch, batch_idx: int = 0) -> None:
        """Add up losses and correct answers of test samples, and list them in ``test_cases``."""
        predicted = self._evaluate("test", batch)
        rows = zip(
            batch.samples, batch.y.tolist(), predicted.tolist(), batch.weight.tolist(), strict=True
        )
        self.test_cases += [
            {"case": index, "label": label, "predicted": found}
            for index, label, found, weight in rows
            if weight
        ]

    def on_test_epoch_start(self) -> None:
        self.test_cases = []

    def on_test_epoch_end(self) -> None:
        self._log_stage("test")
        if self.trainer.world_size > 1:
            every: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(every, self.test_cases)
            self.test_cases = [case for cases in every for case in cases]
        self.test_cases.sort(key=lambda row: row["case"])

    def _evaluate(self, stage: str, batch: SequenceBatch) -> Tensor:
        """Predicted classes."""
        _, errors, predicted = self._loss(self.model, batch)
        found = {stage: errors}
        if self.ema is not None:
            found[f"{stage}_ema"] = self._loss(self.ema.module, batch)[1]
        for name, values in found.items():
            sums = self._errors.setdefault(name, ErrorSums())
            sums.add(values, batch.weight[:, None].expand_as(values))
        return predicted

    def _log_stage(self, stage: str) -> None:
        for name in [name for name in self._errors if name.startswith(stage)]:
            self._log_means(name, self._errors.pop(name))

    def _log_means(self, name: str, sums: ErrorSums) -> None:
        loss, accuracy = sums.mean()
        self.log_value(f"{name}_loss", loss)
        self.log_value(f"{name}_accuracy", accuracy)

    def describe(self) -> str:
        return json.dumps({"model": self.model.config})

    def check_description(self, text: str) -> list[str]:
        return describe_differences({"model": self.model.config}, load_json(text))
