"""Lightning data module of labelled sequences."""

import hashlib
from pathlib import Path
from typing import Any

import numpy as np

from flare_mesh.datasets.lra import open_sequences
from flare_mesh.training.case_loader import CaseLoader
from flare_mesh.training.case_sampler import CaseSampler
from flare_mesh.training.sequence_batch import SequenceBatches
from flare_mesh.training.split_data_module import SplitDataModule


class SequenceDataModule(SplitDataModule):
    """Training, validation and test samples of a data set of labelled sequences.

    Args:
        name: One of :data:`flare_mesh.datasets.lra.SEQUENCE_DATASETS`.
        root: Folder of the data set.
        options: Options of the data set's class, such as ``source``.
        train_split: Name of the training split.
        val_split: Name of the split to validate on after each epoch, or none.
        test_split: Name of the split to test on, or none.
        batch_size: Number of samples in a batch, per device.
        max_tokens: Largest number of tokens in a batch, per device, instead of ``batch_size``. A
            longer sample is a batch by itself.
        num_workers: Number of processes that read samples, per device.
        drop_last: Leave out a last training batch that is not full.
        epoch_batches: Number of training batches of an epoch, after which there is a validation and
            a checkpoint; one pass over the samples by default. With a time budget, ``fit`` chooses
            it. Epochs continue with the samples where the one before ended.
        seed: Seed of the order of the samples; the run's by default.

    Raises:
        ValueError: If an option does not fit.
    """

    def __init__(
        self,
        name: str = "lra_listops",
        root: str = ".",
        *,
        options: dict[str, Any] | None = None,
        train_split: str = "train",
        val_split: str | None = "val",
        test_split: str | None = "test",
        batch_size: int = 32,
        max_tokens: int | None = None,
        num_workers: int = 0,
        drop_last: bool = False,
        epoch_batches: int | None = None,
        seed: int | None = None,
    ) -> None:
        super().__init__(
            {"train": train_split, "val": val_split, "test": test_split},
            num_workers=num_workers,
            drop_last=drop_last,
            epoch_batches=epoch_batches,
            seed=seed,
        )
        for option, value in {
            "batch_size": batch_size, "max_tokens": max_tokens, "epoch_batches": epoch_batches,
        }.items():  # fmt: skip
            if value is not None and value < 1:
                raise ValueError(f"data.{option}: expected at least 1 (got {value})")
        if drop_last and max_tokens is not None:
            raise ValueError(
                "data.drop_last: batches by data.max_tokens are never full; leave out one of them"
            )
        self.name, self.root = name, Path(root)
        self.options = dict(options or {})
        self.batch_size, self.max_tokens = batch_size, max_tokens
        self._datasets: dict[str, Any] = {}

    @classmethod
    def from_sequences(
        cls, train: Any, val: Any = None, test: Any = None, **options: Any
    ) -> "SequenceDataModule":
        """The samples of data sets that are given as objects.

        Args:
            train: Training samples, a :class:`~flare_mesh.datasets.lra.SequenceDataset`.
            val: Validation samples; none by default.
            test: Test samples; none by default.
            options: Other options of this class, such as ``max_tokens``.
        """
        given = {"train": train, "val": val, "test": test}
        splits = {f"{stage}_split": stage if given[stage] is not None else None for stage in given}
        module = cls(**{**splits, **options})
        module._datasets = {stage: data for stage, data in given.items() if data is not None}
        return module

    # Lightning's text opens all loaders, and the parser asks for it before the model is known.
    def __str__(self) -> str:
        return f"{type(self).__name__}({self.name}, {self.root})"

    def dataset(self, stage: str) -> Any:
        """Data set of ``"train"``, ``"val"`` or ``"test"``; opens its files at the first call.

        Raises:
            FileNotFoundError: If the split's files are missing.
            ValueError: If there is no such split or data set.
        """
        if stage not in self._datasets:
            split = self.splits[stage]
            if split is None:
                raise ValueError(f"data.{stage}_split: there is none")
            assert self.name is not None  # may be None for Lightning
            self._datasets[stage] = open_sequences(self.name, self.root, split, **self.options)
        return self._datasets[stage]

    def describe_splits(self) -> dict[str, Any]:
        """Number of samples and of tokens of each split, and a checksum of labels and lengths."""
        found = {}
        for stage, dataset in self._datasets.items():
            labels, lengths = np.asarray(dataset.labels), np.asarray(dataset.lengths)
            content = np.stack([labels, lengths]).astype("<i8").tobytes()
            found[stage] = {
                "count": len(labels),
                "tokens": int(lengths.sum()),
                "sha256": hashlib.sha256(content).hexdigest(),
            }
        return found

    def _loader(self, stage: str, epoch_batches: int | None = None) -> CaseLoader:
        dataset, training = self.dataset(stage), stage == "train"
        rank, world_size = self.processes()
        sampler = CaseSampler(
            np.asarray(dataset.lengths).tolist(),
            batch_size=self.batch_size,
            max_nodes=self.max_tokens,
            shuffle=training,
            mean=training,
            seed=self.seed,
            rank=rank,
            world_size=world_size,
            drop_last=self.drop_last and training,
            epoch_batches=epoch_batches if training else None,
        )
        return self.make_loader(SequenceBatches(dataset), sampler)
