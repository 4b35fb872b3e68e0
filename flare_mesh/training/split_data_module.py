"""Base of the Lightning data modules: loaders of the splits, and their state."""

import os
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from lightning import LightningDataModule

from flare_mesh.training.case_loader import CaseLoader
from flare_mesh.training.case_sampler import CaseSampler


class SplitDataModule(LightningDataModule):
    """Loaders of the training, validation and test cases, which can be resumed within an epoch.

    Args:
        splits: What the stages ``"train"``, ``"val"`` and ``"test"`` are in the data set; None for
            a stage without cases.
        num_workers: Number of processes that read cases, per device.
        drop_last: Leave out a last training batch that is not full.
        epoch_batches: Number of training batches of an epoch; one pass over the cases by default.
        seed: Seed of the order of the cases; the run's by default.

    Raises:
        ValueError: If the number of processes is negative.
    """

    in_memory = False
    """Whether all cases stay in memory once they are read."""

    def __init__(
        self,
        splits: Mapping[str, Any],
        *,
        num_workers: int,
        drop_last: bool,
        epoch_batches: int | None,
        seed: int | None,
    ) -> None:
        super().__init__()
        if num_workers < 0:
            raise ValueError(f"data.num_workers: expected at least 0 (got {num_workers})")
        self.splits = dict(splits)
        self.num_workers = num_workers
        self.drop_last = drop_last
        self.epoch_batches = epoch_batches
        self.seed = int(os.environ.get("PL_GLOBAL_SEED", "0")) if seed is None else seed
        self._train_loader: CaseLoader | None = None
        self._resumed: dict[str, int] = {}

    @abstractmethod
    def _loader(self, stage: str, epoch_batches: int | None = None) -> CaseLoader:
        """Loader of a stage; ``epoch_batches`` is for training."""

    @abstractmethod
    def describe_splits(self) -> dict[str, Any]:
        """The splits that are open, as ``splits.json``."""

    def has(self, stage: str) -> bool:
        """Whether there are cases for ``"train"``, ``"val"`` or ``"test"``."""
        return self.splits[stage] is not None

    def processes(self) -> tuple[int, int]:
        """Number of this process, and of all processes."""
        trainer = self.trainer
        if getattr(trainer, "overfit_batches", 0):
            raise ValueError(
                "trainer.overfit_batches: not supported, since the cases have an order of their "
                "own; take a data set of few cases, or trainer.limit_train_batches"
            )
        return (0, 1) if trainer is None else (trainer.global_rank, trainer.world_size)

    def make_loader(self, cases: Any, sampler: CaseSampler) -> CaseLoader:
        """Loader of the batches of a sampler.

        Raises:
            ValueError: If there is no training batch.
        """
        if sampler.shuffle and not sampler.pass_batches:
            raise ValueError(
                f"data.drop_last: {len(cases)} cases do not fill one batch of {sampler.batch_size} "
                f"on {sampler.world_size} processes; lower data.batch_size"
            )
        return CaseLoader(
            cases,
            sampler,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            pin_memory=torch.cuda.is_available(),
        )

    def training_loader(self, epoch_batches: int | None) -> CaseLoader:
        """Loader of training batches with another number of batches in an epoch."""
        return self._loader("train", epoch_batches)

    def train_dataloader(self) -> CaseLoader:
        self._train_loader = loader = self._loader("train", self.epoch_batches)
        if self._resumed:
            loader.load_state_dict(self._resumed)
        return loader

    def passes(self, batches: int) -> float:
        """Passes over the training cases in a number of batches of the last run."""
        assert self._train_loader is not None
        return batches / self._train_loader.case_sampler.pass_batches

    # Lightning restores a loader's own state too late if the schedule needs the number of steps.
    def state_dict(self) -> dict[str, int]:
        return {} if self._train_loader is None else self._train_loader.state_dict()

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        self._resumed = state_dict

    def teardown(self, stage: str) -> None:
        self._resumed = {}  # the next run starts at its first batch

    def setup(self, stage: str) -> None:
        if not self.has("val") and self.trainer is not None:
            # Lightning would warn of an empty list of loaders.
            self.trainer.limit_val_batches = 0

    def val_dataloader(self) -> Any:
        return self._loader("val") if self.has("val") else []

    def test_dataloader(self) -> CaseLoader:
        return self._loader("test")
