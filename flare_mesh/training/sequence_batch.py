"""Batches of labelled sequences, without padding."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils.data import Dataset

from flare_mesh.training.case_sampler import CaseKey


class SequenceBatch(NamedTuple):
    """A batch of B samples.

    Attributes:
        tokens: Tokens of all sequences, one after another, int64 [N].
        ptr: Offsets of the sequences, [B + 1]; [2 B + 1] for pairs.
        y: Class of each sample, int64 [B].
        weight: Weight of each sample's loss in the sum over the batch, [B].
        samples: Number of each sample in its split.
    """

    tokens: Tensor
    ptr: Tensor
    y: Tensor
    weight: Tensor
    samples: list[int]


class SequenceBatches(Dataset[SequenceBatch]):
    """Batches of the samples of a data set, by the keys of a sampler.

    Args:
        dataset: A :class:`~flare_mesh.datasets.lra.SequenceDataset`.
    """

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, keys: Sequence[CaseKey]) -> SequenceBatch:  # pyright: ignore[reportIncompatibleMethodOverride]
        samples = [self.dataset[key.index] for key in keys]
        pairs = self.dataset.documents == 2
        lengths = [
            length
            for sample in samples
            for length in (sample.length.flatten().tolist() if pairs else [len(sample.token)])
        ]
        return SequenceBatch(
            torch.cat([sample.token for sample in samples]),
            torch.tensor([0, *lengths]).cumsum(0),
            torch.cat([sample.y for sample in samples]),
            torch.tensor([key.weight for key in keys]),
            [key.index for key in keys],
        )
