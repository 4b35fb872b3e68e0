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
        tokens: Tokens of all sequences, one after another, int64 [N]; or continuous values [N, C].
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
        tokens = [
            sample.token if self.dataset.in_channels is None else sample.x for sample in samples
        ]
        if self.dataset.documents == 2:
            lengths = torch.cat([sample.length.flatten() for sample in samples]).tolist()
        else:
            lengths = [len(one) for one in tokens]
        return SequenceBatch(
            torch.cat(tokens),
            torch.tensor([0, *lengths]).cumsum(0),
            torch.cat([sample.y for sample in samples]),
            torch.tensor([key.weight for key in keys]),
            [key.index for key in keys],
        )
