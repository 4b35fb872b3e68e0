"""Which cases make a batch, on which process, with which weight."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import NamedTuple

import numpy as np
from torch.utils.data import DistributedSampler

from flare_mesh.training.node_packing import pack_densely, pack_in_order, split_to
from flare_mesh.training.seeding import mix_seed


class CaseKey(NamedTuple):
    """A case as a batch asks for it.

    Attributes:
        index: Number of the case.
        seed: Of what is drawn at random for it in this epoch.
        weight: Of its loss in the sum over the batch.
    """

    index: int  # pyright: ignore[reportIncompatibleMethodOverride]
    seed: int
    weight: float


# Lightning puts a sampler of its own in the place of any other than torch's for several processes.
class CaseSampler(DistributedSampler[list[CaseKey]]):
    """Batches of cases for each of ``world_size`` processes, a pure function of seed and epoch.

    The cases of all processes together are the batch. In training the weights are
    ``world_size / cases of the batch``: with the gradients averaged over the processes, as
    DistributedDataParallel does, the result is that of the mean over the whole batch in one
    process. A process for which no case is left gets one of weight 0.

    PyG's ``DynamicBatchSampler`` reads every case to know its size, draws from a shared random
    state, and knows one process only.

    Args:
        sizes: Nodes of each case; only their number matters without ``max_nodes``.
        batch_size: Cases a batch and process.
        max_nodes: Batches of unequal numbers of cases, but at most so many nodes a process; takes
            the place of ``batch_size``. A larger case is a batch by itself. Every epoch has the
            same number of batches.
        shuffle: Another order in each epoch.
        mean: Weights for a mean over the batch; by default 1 for each case, as for sums over all.
        seed: Of the order, and of what is drawn for each case.
        rank: Number of this process.
        world_size: Number of processes.
        drop_last: Leaves out a last batch of fewer than ``batch_size`` cases a process.

    Raises:
        ValueError: If a number is below 1, or ``drop_last`` is asked for with ``max_nodes``.
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
    ) -> None:
        if batch_size < 1 or (max_nodes is not None and max_nodes < 1):
            raise ValueError(
                f"expected batch_size and max_nodes >= 1 (got {batch_size} and {max_nodes})"
            )
        if drop_last and max_nodes is not None:
            raise ValueError(
                "drop_last: batches by max_nodes are never full; leave out one of both"
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
        self.epoch = 0
        self._skip: tuple[int, int] | None = None
        self._kept: tuple[int, list[list[list[int]]]] | None = None

    def set_epoch(self, epoch: int) -> None:
        """Which epoch the next iteration is of; Lightning calls it."""
        self.epoch = epoch

    def skip(self, epoch: int, batches: int) -> None:
        """Leaves out the first batches of one epoch, which a resumed run has behind it."""
        self._skip = epoch, batches

    def first_batch(self) -> int:
        """Number of the first batch of this epoch that is not left out."""
        return self._skip[1] if self._skip and self._skip[0] == self.epoch else 0

    def batches(self, epoch: int) -> list[list[list[int]]]:
        """Cases of each batch and process, [batch][rank]."""
        if self._kept is None or self._kept[0] != (epoch if self.shuffle else 0):
            order = self._order(epoch)
            parts = self._by_count(order) if self.max_nodes is None else self._by_nodes(order)
            self._kept = (epoch if self.shuffle else 0), parts
        return self._kept[1]

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
        """Batches of every epoch under a budget of nodes: as many as a usual order has.

        Lightning and the schedule of the learning rate ask for their number once.
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
        # Cases of an evaluation are the same each time, whatever the epoch it is made in.
        epoch = self.epoch if self.shuffle else 0
        for parts in self.batches(self.epoch)[self.first_batch() :]:
            count = sum(map(len, parts))
            weight = self.world_size / count if self.mean else 1.0
            mine = [(index, weight) for index in parts[self.rank]]
            if not mine:
                mine = [(next(part for part in parts if part)[0], 0.0)]
            yield [
                CaseKey(index, mix_seed(self.seed, epoch, index), share) for index, share in mine
            ]

    def __len__(self) -> int:
        return len(self.batches(self.epoch))
