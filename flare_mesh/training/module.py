"""Lightning module that trains a surrogate."""

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from flare_mesh.documents import load_json
from flare_mesh.surrogate.load import load_surrogate
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.surrogate.training_range import TrainingRange
from flare_mesh.training.checkpoint_check import describe_differences
from flare_mesh.training.data_module import FieldDataModule
from flare_mesh.training.error_sums import ErrorSums
from flare_mesh.training.field_errors import error_weights, expand_steps, field_errors, scale_fields
from flare_mesh.training.fit_normalizers import check_scales, fit_normalizers
from flare_mesh.training.losses import FieldLoss, LossConfig
from flare_mesh.training.optimizers import OptimizerConfig
from flare_mesh.training.prediction_record import PredictionRecord
from flare_mesh.training.schedules import ScheduleConfig
from flare_mesh.training.sharding import Shards
from flare_mesh.training.training_module import TrainingModule
from flare_mesh.training.unroll import RolloutConfig, unroll

_TIMED_CASES = 32
"""Training cases whose statistics are enough for the time of a step."""


class FieldModule(TrainingModule):
    """Training of a :class:`~flare_mesh.Surrogate` on cases with a target ``y``.

    By default as published for FLARE (arXiv 2508.12594): the loss is the mean over graphs and
    fields of the relative L2 error in physical units, minimised by AdamW with one cycle of the
    learning rate over the run. Logs ``train_loss``, and for validation and test cases
    ``<stage>_relative_l2`` and ``<stage>_relative_l2_<field>``; with ``ema`` also
    ``<stage>_ema_relative_l2`` and so on.

    Args:
        surrogate: The surrogate. Its normalisers are fitted on the training cases if they are not
            yet, and the trainer has a :class:`FieldDataModule`.
        loss: Loss to minimise.
        optimizer: Optimiser and its options.
        schedule: Schedule of the learning rate, stepped after each optimiser step.
        ema: Decay of an exponential moving average of the weights, such as 0.999; None for none.
        rollout: How a time series is unrolled in training.
        grid_shape: Nodes along each axis, for a loss with derivatives on a structured grid.
        compile: Whether the model is compiled by ``torch.compile``, for any number of nodes.
        shards: Number of processes that share the nodes of each mesh.
        seed: Seed of the random numbers of a step: dropout and noise.

    Attributes:
        test_cases: Errors of each test case: ``case``, its name, and a value for each field.
        record: Keeps the predictions of a test in one process; None for none.

    Raises:
        ValueError: If an option does not fit.
    """

    KEY = "surrogate"
    BAR = ("train_loss", "val_relative_l2")

    def __init__(
        self,
        surrogate: Surrogate,
        *,
        loss: LossConfig = LossConfig(),  # noqa: B008
        optimizer: OptimizerConfig = OptimizerConfig(),  # noqa: B008
        schedule: ScheduleConfig = ScheduleConfig(),  # noqa: B008
        ema: float | None = None,
        rollout: RolloutConfig | None = None,
        grid_shape: Sequence[int] | None = None,
        compile: bool = False,
        shards: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__(optimizer=optimizer, schedule=schedule, seed=seed)
        if shards < 1 or (shards > 1 and not surrogate.model.can_spread):
            raise ValueError(
                f"shards: expected 1, or more for a model whose nodes can be spread over processes "
                f"(got {shards} for {type(surrogate.model).__name__})"
            )
        self.surrogate = surrogate
        self.loss = FieldLoss(loss, list(surrogate.fields.values()), grid_shape)
        self.rollout = rollout or RolloutConfig()
        self.shards = Shards(shards)
        self.average(ema)
        if compile:
            surrogate.model.compile(dynamic=True)
        self.test_cases: list[dict[str, Any]] = []
        self.record: PredictionRecord | None = None
        self._errors: dict[str, ErrorSums] = {}

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: str | Path, **options: Any) -> "FieldModule":  # pyright: ignore[reportIncompatibleMethodOverride]
        """Module with the surrogate of a checkpoint, for evaluation or more training.

        Args:
            checkpoint_path: A ``.ckpt`` of a run, or a run's folder.
            options: Options of :class:`FieldModule`.
        """
        return cls(load_surrogate(checkpoint_path), **options)

    def setup(self, stage: str) -> None:
        super().setup(stage)
        self.shards.setup(self.trainer)
        if stage == "fit":
            self.surrogate.calibration = None  # of other weights
        data = getattr(self.trainer, "datamodule", None)
        unfitted = stage == "fit" and self.surrogate.training_range is None
        if data is not None:
            data.edges = self.surrogate.model.uses_edges
            data.shards = self.shards.count
            if unfitted:
                fit_normalizers(
                    self.surrogate,
                    data.cases("train"),
                    rank=self.trainer.global_rank,
                    world_size=self.trainer.world_size,
                    nonzero=self.loss.is_relative,
                )
            if stage == "fit" and isinstance(data, FieldDataModule):
                self._check_held_out(data)
        elif unfitted:
            warnings.warn(
                "the normalisers are not fitted: call surrogate.fit_normalizers(cases) before "
                "training, or train with a FieldDataModule",
                stacklevel=2,
            )

    def _check_held_out(self, data: Any) -> None:
        for kind in filter(data.has, ("val", "test")):
            check_scales(
                self.surrogate,
                data.cases(kind),
                rank=self.trainer.global_rank,
                world_size=self.trainer.world_size,
            )

    def predict_batch(self, batch: Data, *, training: bool = False) -> Tensor:
        """Prediction of ``batch.y``, [N, C] in physical units."""
        if self.surrogate.rollout is None:
            return self.surrogate(batch, group=self.shards.group)
        config = self.rollout if training else RolloutConfig()
        return unroll(self.surrogate, batch, config, self.shards.group)

    def errors(self, batch: Data) -> Tensor:
        """Relative L2 error of each graph and field, [B, F]."""
        prediction = self.predict_batch(batch)
        return field_errors(self.surrogate, batch, prediction, group=self.shards.group)

    def training_step(self, batch: Data, batch_idx: int = 0) -> Tensor:
        """Loss of a batch, weighted so that the sum over all processes is the mean."""
        self.begin_step(batch_idx)
        batch = self.shards.take(batch)
        prediction, target = self.predict_batch(batch, training=True), batch.y
        assert isinstance(target, Tensor)
        # Fields of different units have equal shares in a mean over fields.
        prediction = scale_fields(self.surrogate, prediction)
        target = scale_fields(self.surrogate, target)
        errors = self.loss(prediction, target, batch, group=self.shards.group)
        if "case_weight" in batch:
            weight = batch.case_weight
            loss = (errors.mean(1) * weight).sum()
        else:
            weight = errors.new_ones(len(errors))
            loss = errors.mean()
        self._train_errors.add(errors, weight[:, None].expand_as(errors))
        self.watch(loss, batch.get("case_id", ()))
        return loss

    def on_train_epoch_end(self) -> None:
        self._monitor.check()
        self.log_value("train_loss", self._train_errors.mean().mean())
        self._train_errors.reset()

    def validation_step(self, batch: Data, batch_idx: int = 0) -> None:
        """Add up the errors of validation cases."""
        self._evaluate("val", batch)

    def on_validation_epoch_end(self) -> None:
        self._log_errors("val")

    def test_step(self, batch: Data, batch_idx: int = 0) -> None:
        """Add up the errors of test cases, and list them in ``test_cases``."""
        errors, weight = self._evaluate("test", batch)
        cases = batch.get("case_id", [""] * len(errors))
        for case, row, shares in zip(cases, errors.tolist(), weight.tolist(), strict=True):
            if any(shares):
                found = zip(self.surrogate.fields, row, shares, strict=True)
                values = {name: value if share else math.nan for name, value, share in found}
                self.test_cases.append({"case": case, **values})

    def on_test_epoch_start(self) -> None:
        self.test_cases = []

    def on_test_epoch_end(self) -> None:
        self._log_errors("test")
        if self.trainer.world_size > 1:
            every: list[Any] = [None] * self.trainer.world_size
            torch.distributed.all_gather_object(every, self.test_cases)
            blocks = every[:: self.shards.count]
            self.test_cases = [case for cases in blocks for case in cases]
        self.test_cases.sort(key=lambda row: row["case"])

    def _evaluate(self, stage: str, batch: Data) -> tuple[Tensor, Tensor]:
        """Errors and their weights, [B, F]."""
        batch, group = self.shards.take(batch), self.shards.group
        assert isinstance(batch.y, Tensor)
        if stage == "test" and self.record is not None:
            prediction = self.record.predict(self.surrogate, batch, self.predict_batch)
        else:
            prediction = self.predict_batch(batch)
        errors = field_errors(self.surrogate, batch, prediction, group=group)
        found = {stage: errors}
        if stage == "test":
            mean = expand_steps(self.surrogate, self.surrogate.y_mean, batch.y)
            found["test_mean"] = field_errors(self.surrogate, batch, mean, group=group)
        if self.ema is not None:
            averaged: Any = self.ema.module
            raw, self.surrogate.model = self.surrogate.model, averaged
            try:
                found[f"{stage}_ema"] = self.errors(batch)
            finally:
                self.surrogate.model = raw
        weight = error_weights(self.surrogate, batch, len(errors), group=group)
        for name, values in found.items():
            self._errors.setdefault(name, ErrorSums()).add(values, weight)
        return errors, weight

    def _log_errors(self, stage: str) -> None:
        for name in [name for name in self._errors if name.startswith(stage)]:
            means = self._errors.pop(name).mean()
            self.log_value(f"{name}_relative_l2", means.mean())
            for field, mean in zip(self.surrogate.fields, means, strict=True):
                self.log_value(f"{name}_relative_l2_{field}", mean)

    @property
    def trained(self) -> nn.Module:
        return self.surrogate

    @property
    def network(self) -> nn.Module:
        return self.surrogate.model

    def prepare_timing(self, data: Any) -> None:
        data.edges = self.surrogate.model.uses_edges
        if self.surrogate.training_range is None:
            cases = data.cases("train")
            first = [cases[i] for i in range(min(_TIMED_CASES, len(cases)))]
            self.surrogate.fit_normalizers(first)

    def describe(self) -> str:
        return json.dumps(self.surrogate.header())

    def check_description(self, text: str) -> list[str]:
        return describe_differences(self.surrogate.header(), load_json(text))

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Check that the checkpoint belongs to this model, and restore the run's state."""
        super().on_load_checkpoint(checkpoint)
        stored = load_json(checkpoint["flare_mesh"][self.KEY])["training_range"]
        self.surrogate.training_range = stored and TrainingRange.from_dict(stored)
