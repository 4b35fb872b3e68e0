"""The training step, as a Lightning module."""

import json
import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule
from lightning.pytorch.strategies import FSDPStrategy
from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch_geometric.data import Data

from flare_mesh.surrogate.load import load_surrogate
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.surrogate.training_statistics import TrainingStatistics
from flare_mesh.training.async_scalar import AsyncScalar
from flare_mesh.training.checkpoint_check import describe_differences
from flare_mesh.training.error_sums import ErrorSums, summed
from flare_mesh.training.graph_sums import graph_sums
from flare_mesh.training.losses import FieldLoss, LossConfig
from flare_mesh.training.metrics import field_sums
from flare_mesh.training.optimizers import OptimizerConfig, build_optimizer
from flare_mesh.training.schedules import ScheduleConfig, build_schedule
from flare_mesh.training.seeding import mix_seed, seed_step
from flare_mesh.training.sharding import Shards
from flare_mesh.training.unroll import RolloutConfig, unroll

# Steps in a row that a gradient scaler may leave out.
_OVERFLOWS = 20


class NotFiniteError(ValueError):
    """The loss is NaN or infinite."""


class FieldModule(LightningModule):
    """Trains a :class:`~flare_mesh.Surrogate` on cases with a target ``y``.

    By default as published for FLARE (arXiv 2508.12594): the mean over graphs and fields of the
    relative L2 error in physical units, AdamW, one cycle of the learning rate over the run. Logs
    ``train_loss``, and of validation and test cases ``<stage>_relative_l2`` and
    ``<stage>_relative_l2_<field>``, with ``ema`` also ``<stage>_ema_relative_l2...``.

    Args:
        surrogate: The model; its normalisers are fitted on the training cases when a
            :class:`FieldDataModule` is given to the trainer and they have not been before.
        loss: What is minimised.
        optimizer: How.
        schedule: Of the learning rate, per step.
        ema: Decay of a moving average of the weights, such as 0.999; None for none.
        rollout: How a time series is gone through in training.
        grid_shape: Nodes along each axis, where ``loss`` takes derivatives on a grid.
        compile: Compiles the model by ``torch.compile``, for any number of nodes.
        shards: Processes over which the nodes of each mesh are spread.
        seed: Of what is drawn in a step: dropout, noise.

    Raises:
        ValueError: If an option does not fit.
    """

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
        super().__init__()
        if ema is not None and not 0 < ema < 1:
            raise ValueError(f"ema: expected a decay between 0 and 1 (got {ema})")
        if shards < 1 or (shards > 1 and not surrogate.model.can_stream):
            raise ValueError(
                f"shards: expected 1, or more for a model whose nodes can be spread over processes "
                f"(got {shards} for {type(surrogate.model).__name__})"
            )
        self.surrogate = surrogate
        self.loss = FieldLoss(
            loss,
            list(surrogate.fields.values()),
            None if grid_shape is None else tuple(grid_shape),
        )
        self.optimizer = optimizer
        self.schedule = schedule
        self.rollout = rollout or RolloutConfig()
        self.seed = seed
        self.shards = Shards(shards)
        self.ema: AveragedModel | None = None
        if ema is not None:
            self.ema = AveragedModel(surrogate.model, multi_avg_fn=get_ema_multi_avg_fn(ema))
            self.ema.requires_grad_(False)
        if compile:
            surrogate.model.compile(dynamic=True)
        self.test_cases: list[dict[str, Any]] = []
        self._train = ErrorSums()
        self._errors: dict[str, ErrorSums] = {}
        self._pending: tuple[int, Sequence[str], AsyncScalar] | None = None
        self._overflows = 0
        self._resumed: dict[str, Any] | None = None
        self._used_plan: dict[str, Any] | None = None

    @classmethod
    def load_from_checkpoint(cls, checkpoint_path: str | Path, **options: Any) -> "FieldModule":  # pyright: ignore[reportIncompatibleMethodOverride]
        """The module with the surrogate of a checkpoint, for evaluation or more training.

        Args:
            checkpoint_path: A ``.ckpt`` of a run, or a run's folder.
            options: Of :class:`FieldModule`.
        """
        return cls(load_surrogate(checkpoint_path), **options)

    def setup(self, stage: str) -> None:
        if self.trainer.precision in ("bf16-true", "16-true"):
            raise ValueError(
                f"precision {self.trainer.precision} would round coordinates, targets and "
                f"normalisers; take bf16-mixed or 16-mixed"
            )
        if self.ema is not None and isinstance(self.trainer.strategy, FSDPStrategy):
            raise ValueError(
                "ema: averaged weights need whole ones, and the strategy fsdp spreads them over "
                "processes; leave model.ema out, or take ddp"
            )
        self.shards.setup(self.trainer)
        data = getattr(self.trainer, "datamodule", None)
        if data is None:
            if stage == "fit" and self.surrogate.training_range is None:
                warnings.warn(
                    "the normalisers are not fitted: call surrogate.fit_normalizers(cases) before "
                    "training, or train by a FieldDataModule",
                    stacklevel=2,
                )
            return
        data.edges = self.surrogate.model.uses_edges
        data.shards = self.shards.count
        if stage == "fit" and self.surrogate.training_range is None:
            self._fit_normalizers(data.cases("train"))

    def _fit_normalizers(self, cases: Any) -> None:
        """Each process reads its share of the training cases."""
        rank, world = self.trainer.global_rank, self.trainer.world_size
        mine = (self._nonzero(cases[i]) for i in range(rank, len(cases), world))
        parts = [self.surrogate.gather_statistics(mine)]
        if world > 1:
            parts = [parts[0]] * world
            torch.distributed.all_gather_object(parts, parts[rank])
        self.surrogate.set_statistics(TrainingStatistics.merge(parts))

    def _nonzero(self, case: Data) -> Data:
        """A training case whose relative loss exists."""
        if self.loss.config.name.startswith("relative"):
            assert isinstance(case.y, Tensor)
            for name, field in self.surrogate.split_fields(case.y).items():
                if not bool(field.any()):
                    raise ValueError(
                        f"case '{case.case_id}': '{name}' is zero at every node, so that it has "
                        f"no relative error; leave the case out, or take model.loss.name=mse"
                    )
        return case

    def predict_batch(self, batch: Data, *, training: bool = False) -> Tensor:
        """Prediction of ``batch.y``, [N, C] in physical units."""
        if self.surrogate.rollout is None:
            return self.surrogate(batch, group=self.shards.group)
        config = self.rollout if training else RolloutConfig()
        return unroll(self.surrogate, batch, config, self.shards.group)

    def errors(self, batch: Data) -> Tensor:
        """Relative L2 error of each graph and field, [B, F]."""
        return self._relative_l2(batch, self.predict_batch(batch))

    def _relative_l2(self, batch: Data, prediction: Tensor) -> Tensor:
        assert isinstance(batch.y, Tensor)
        metric = FieldLoss(LossConfig(), self._channels(batch.y))
        prediction, target = self._scaled(prediction), self._scaled(batch.y)
        return metric(prediction, target, batch, group=self.shards.group)

    def _scaled(self, y: Tensor) -> Tensor:
        """y over the fields' magnitudes: squares of 1e-20 or 1e20 are no numbers of float32."""
        return y / self._like(self.surrogate.y_scale, y)

    def _channels(self, y: Tensor) -> list[int]:
        """Channels of each field of y; a test's time series may be longer than those trained on."""
        return [field.shape[1] for field in self.surrogate.split_fields(y).values()]

    def training_step(self, batch: Data, batch_idx: int = 0) -> Tensor:
        """The loss of a batch, weighted so that all processes together have its mean."""
        self._check_pending()
        seed_step(mix_seed(self.seed, self.global_step, batch_idx, self.global_rank), self.device)
        batch = self.shards.take(batch)
        prediction = self.predict_batch(batch, training=True)
        assert isinstance(batch.y, Tensor)
        target = batch.y
        if self.loss.config.name.startswith("relative"):
            prediction, target = self._scaled(prediction), self._scaled(target)
        errors = self.loss(prediction, target, batch, group=self.shards.group)
        if "case_weight" in batch:
            weight = batch.case_weight
            loss = (errors.mean(1) * weight).sum()
        else:
            weight = errors.new_ones(len(errors))
            loss = errors.mean()
        self._train.add(errors, weight[:, None].expand_as(errors))
        # Looked at in the next step, when the device has it ready.
        self._pending = self.global_step, batch.get("case_id", ()), AsyncScalar(loss)
        return loss

    def _check_pending(self) -> None:
        """Raises where the loss of the step before is not finite."""
        if self._pending is None:
            return
        (step, cases, late), self._pending = self._pending, None
        loss = late.read()
        if math.isfinite(loss):
            self._overflows = 0
            return
        # Where gradients are scaled, such a step is left out and the scale lowered.
        scaled = getattr(self.trainer.precision_plugin, "scaler", None) is not None
        self._overflows += 1
        if scaled and self._overflows <= _OVERFLOWS:
            return
        names = ", ".join(map(str, cases)) or "not named"
        raise NotFiniteError(
            f"the loss of step {step} is {loss} (cases: {names}); lower the learning rate or clip "
            f"gradients (trainer.gradient_clip_val), look at these cases, or train in full "
            f"precision"
        )

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        super().optimizer_step(*args, **kwargs)
        if self.ema is not None:
            self.ema.update_parameters(self.surrogate.model)

    def on_train_epoch_end(self) -> None:
        self._check_pending()
        self._log("train_loss", self._train.mean().mean())
        self._train.reset()

    def validation_step(self, batch: Data, batch_idx: int = 0) -> None:
        """Sums the errors of validation cases."""
        self._evaluate("val", batch)

    def on_validation_epoch_end(self) -> None:
        self._log_errors("val")

    def test_step(self, batch: Data, batch_idx: int = 0) -> None:
        """Sums the errors of test cases, and keeps them by case in ``test_cases``."""
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
        batch = self.shards.take(batch)
        assert isinstance(batch.y, Tensor)
        errors = self.errors(batch)
        weight = batch.case_weight if "case_weight" in batch else errors.new_ones(len(errors))
        weight = weight[:, None].expand_as(errors)
        # The relative error of a field that is zero everywhere does not exist.
        squares = field_sums(self._scaled(batch.y).square(), self._channels(batch.y))
        size = graph_sums(squares, batch.batch, len(errors), group=self.shards.group)
        weight = torch.where(size > 0, weight, 0.0)
        sums = {stage: errors}
        if stage == "test":
            mean = self._like(self.surrogate.y_mean, batch.y)
            sums["test_mean"] = self._relative_l2(batch, mean)
        if self.ema is not None:
            averaged: Any = self.ema.module
            raw, self.surrogate.model = self.surrogate.model, averaged
            try:
                sums[f"{stage}_ema"] = self.errors(batch)
            finally:
                self.surrogate.model = raw
        for name, values in sums.items():
            self._errors.setdefault(name, ErrorSums()).add(values, weight)
        return errors, weight

    def _like(self, values: Tensor, y: Tensor) -> Tensor:
        """Values [C] of the model's channels at every node, of as many steps as y has."""
        row, rollout = values[None], self.surrogate.rollout
        if rollout is not None:
            row = rollout.join([row] * len(rollout.split(y)))
        return row.expand_as(y)

    def _log_errors(self, stage: str) -> None:
        for name in [name for name in self._errors if name.startswith(stage)]:
            means = self._errors.pop(name).mean()
            self._log(f"{name}_relative_l2", means.mean())
            for field, mean in zip(self.surrogate.fields, means, strict=True):
                self._log(f"{name}_relative_l2_{field}", mean)

    def _log(self, name: str, value: Tensor) -> None:
        # Equal on all processes by now; synchronised once more only to please Lightning.
        several = self.trainer.world_size > 1
        bar = name in ("train_loss", "val_relative_l2")
        self.log(name, value.float(), on_epoch=True, prog_bar=bar, sync_dist=several, batch_size=1)

    def configure_optimizers(self) -> Any:
        """The optimiser, and the schedule over all steps of the run."""
        steps = self.trainer.estimated_stepping_batches
        if math.isinf(steps) and self.schedule.name != "constant":
            raise ValueError(
                f"the schedule '{self.schedule.name}' needs to know when training ends; set "
                f"trainer.max_epochs or trainer.max_steps, or model.schedule.name=constant"
            )
        plan = self._plan(steps)
        if self._resumed is not None and self._resumed != plan:
            found = "; ".join(
                f"{key} is {value!r} here, {self._resumed.get(key)!r} in the checkpoint"
                for key, value in plan.items()
                if value != self._resumed.get(key)
            )
            raise ValueError(
                f"a resumed run keeps its optimiser and schedule ({found}); leave these options "
                f"as they were, or begin a new run from its weights by model.weights"
            )
        self._used_plan = plan
        optimizer = build_optimizer(self.surrogate, self.optimizer)
        # A constant rate has no end.
        scheduler = build_schedule(optimizer, self.schedule, 1 if math.isinf(steps) else int(steps))
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

    def _plan(self, steps: float) -> dict[str, Any]:
        """What a resumed run cannot change, as plain values."""
        plan: dict[str, Any] = {
            f"model.{part}.{key}": list(value) if isinstance(value, tuple) else value
            for part, config in (("optimizer", self.optimizer), ("schedule", self.schedule))
            for key, value in asdict(config).items()
        }
        if self.schedule.name != "constant":
            plan["steps of the whole run (epochs, batches)"] = int(steps)
        return plan

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        self._check_pending()
        checkpoint["flare_mesh"] = {
            "surrogate": json.dumps(self.surrogate.header()),
            "ema": self.ema is not None,
            "plan": self._used_plan,
            "train_sums": None if self._train.total is None else summed(self._train.total),
        }

    def on_load_checkpoint(self, checkpoint: Mapping[str, Any]) -> None:
        """Refuses a checkpoint of another model, telling what differs."""
        ours = checkpoint.get("flare_mesh")
        if not isinstance(ours, Mapping):
            raise ValueError("the checkpoint was not written by flare-mesh")
        header = json.loads(ours["surrogate"])
        found = describe_differences(self.surrogate.header(), header)
        if ours["ema"] != (self.ema is not None):
            states = ("off", "on") if self.ema is None else ("on", "off")
            found.append("ema is {} here, {} in the checkpoint".format(*states))
        if found:
            raise ValueError(
                f"the checkpoint is of another model ({'; '.join(found)}); take the configuration "
                f"of its run"
            )
        self._resumed = ours["plan"]
        self.surrogate.training_range = Surrogate.from_header(header).training_range
        # The sums of all processes: one takes them over.
        self._train.total = ours["train_sums"] if self.global_rank == 0 else None
