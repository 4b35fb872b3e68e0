"""Sampler of batches: which cases, on which process, with which weight."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from torch.utils.data import DistributedSampler

from flare_mesh.training.node_packing import pack_densely, pack_in_order, split_to
from flare_mesh.training.seeding import mix_seed


class CaseKey(NamedTuple):
    """A case of a batch.

    Attributes:
        index: Index of the case.
        seed: Seed of the case's random numbers in this epoch.
        weight: Weight of the case's loss in the sum over the batch.
    """

    index: int  # pyright: ignore[reportIncompatibleMethodOverride]
    seed: int
    weight: float


# With several processes, Lightning replaces every sampler that is not torch's DistributedSampler.
class CaseSampler(DistributedSampler[list[CaseKey]]):
    """Batches of cases for ``world_size`` processes, a pure function of seed and epoch.

    A batch is spread over all processes. With ``mean``, the weight of each case is
    ``world_size / cases of the batch``, so that gradients averaged over the processes, as
    DistributedDataParallel does, equal the gradient of the mean over the whole batch. A process
    without a case in a batch gets one of weight 0.

    PyG's ``DynamicBatchSampler`` reads every case for its size, draws from a shared random state,
    and is for one process.

    Args:
        sizes: Number of nodes of each case; without ``max_nodes`` only its length is used.
        batch_size: Number of cases in a batch, per process.
        max_nodes: Largest number of nodes in a batch, per process, instead of ``batch_size``. A
            larger case is a batch by itself. Every epoch has the same number of batches.
        shuffle: Whether each epoch has another order.
        mean: Whether the weights are for a mean over the batch; otherwise each is 1.
        seed: Seed of the order and of the cases' random numbers.
        rank: Index of this process.
        world_size: Number of processes.
        drop_last: Whether a last batch that is not full is left out.
        epoch_batches: Number of batches of an epoch, which continue where those of the epoch before
            ended, over as many passes over the cases as needed; None for one pass.

    Raises:
        ValueError: If a number is below 1, or ``drop_last`` is combined with ``max_nodes``.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        batch_size: int = 1,
        max_nodes: int | None = None,
        shuffle: bool = False,
        mean: bool = False,
        seed: int = 0,
        rank: int = 0,
        world_size: int = 1,
        drop_last: bool = False,
        epoch_batches: int | None = None,
    ) -> None:
        if epoch_batches is not None and epoch_batches < 1:
            raise ValueError(f"expected epoch_batches >= 1 (got {epoch_batches})")
        if batch_size < 1 or (max_nodes is not None and max_nodes < 1):
            raise ValueError(
                f"expected batch_size and max_nodes >= 1 (got {batch_size} and {max_nodes})"
            )
        if drop_last and max_nodes is not None:
            raise ValueError(
                "drop_last: batches by max_nodes are never full; leave out drop_last or max_nodes"
            )
        self.sizes = list(sizes)
        self.batch_size = batch_size
        self.max_nodes = max_nodes
        self.shuffle = shuffle
        self.mean = mean
        self.seed = seed
        self.rank = rank
        self.world_size = world_size
        self.drop_last = drop_last
        self.epoch_batches = epoch_batches
        self.epoch = 0
        self._skip: tuple[int, int] | None = None
        self._cached: tuple[int, list[list[list[int]]]] | None = None

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration; Lightning calls this."""
        self.epoch = epoch

    def skip(self, epoch: int, batches: int) -> None:
        """Skip the first batches of one epoch, which a resumed run has done."""
        self._skip = epoch, batches

    def first_batch(self) -> int:
        """Index of the first batch of this epoch that is not skipped."""
        return self._skip[1] if self._skip and self._skip[0] == self.epoch else 0

    def batches(self, number: int) -> list[list[list[int]]]:
        """Indices of the cases of each batch and process in a pass, [batch][rank]."""
        number = number if self.shuffle else 0
        if self._cached is None or self._cached[0] != number:
            order = self._order(number)
            parts = self._by_count(order) if self.max_nodes is None else self._by_nodes(order)
            self._cached = number, parts
        return self._cached[1]

    @cached_property
    def pass_batches(self) -> int:
        """Number of batches of a pass over the cases."""
        return len(self.batches(0))

    def _numbered_batches(self) -> Iterator[tuple[int, list[list[int]]]]:
        """Batches of this epoch that are not skipped, each with the number of its pass."""
        if self.epoch_batches is None:
            # An evaluation draws the same random numbers in every epoch.
            number = self.epoch if self.shuffle else 0
            yield from ((number, parts) for parts in self.batches(number)[self.first_batch() :])
            return
        start = self.epoch * self.epoch_batches
        for position in range(start + self.first_batch(), start + self.epoch_batches):
            number, index = divmod(position, self.pass_batches)
            yield number, self.batches(number)[index]

    def _by_count(self, order: np.ndarray) -> list[list[list[int]]]:
        step = self.batch_size * self.world_size
        stop = len(order) - len(order) % step if self.drop_last else len(order)
        return [
            [order[i : min(i + step, stop)][r :: self.world_size].tolist()
             for r in range(self.world_size)]
            for i in range(0, stop, step)
        ]  # fmt: skip

    def _by_nodes(self, order: np.ndarray) -> list[list[list[int]]]:
        assert self.max_nodes is not None
        limits = (self.max_nodes, self.world_size)
        found = pack_in_order(self.sizes, order.tolist(), *limits)
        if not self.shuffle:
            return found
        if len(found) > self._num_batches:
            found = pack_densely(self.sizes, order.tolist(), *limits)
        return split_to(found, self._num_batches)

    @cached_property
    def _num_batches(self) -> int:
        """Number of batches of every epoch with ``max_nodes``: as many as a usual order needs.

        It must not depend on the epoch, since the learning-rate schedule is made for a fixed number
        of steps.
        """
        assert self.max_nodes is not None
        limits = (self.max_nodes, self.world_size)
        counts = [len(pack_densely(self.sizes, range(len(self.sizes)), *limits))]
        for epoch in range(4):
            counts.append(len(pack_in_order(self.sizes, self._order(epoch).tolist(), *limits)))
        return max(counts)

    def _order(self, epoch: int) -> np.ndarray:
        order = np.arange(len(self.sizes))
        if self.shuffle:
            np.random.default_rng(mix_seed(self.seed, epoch)).shuffle(order)
        return order

    def __iter__(self) -> Iterator[list[CaseKey]]:
        for number, parts in self._numbered_batches():
            count = sum(map(len, parts))
            weight = self.world_size / count if self.mean else 1.0
            mine = [(index, weight) for index in parts[self.rank]]
            if not mine:
                mine = [(next(part for part in parts if part)[0], 0.0)]
            yield [
                CaseKey(index, mix_seed(self.seed, number, index), share) for index, share in mine
            ]

    def __len__(self) -> int:
        return self.pass_batches if self.epoch_batches is None else self.epoch_batches
