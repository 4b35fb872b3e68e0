"""Loader of batches that can be resumed in the middle of an epoch."""

from typing import Any

from torch.utils.data import DataLoader, Dataset

from flare_mesh.training.case_sampler import CaseSampler


class CaseLoader(DataLoader):
    """Batches of cases in the order of a sampler.

    Its state, which Lightning saves with a checkpoint and restores, is the number of batches that
    were used in the epoch. Batches that workers have prefetched do not count.

    Args:
        cases: The cases; an item is the batch of a list of :class:`CaseKey`.
        sampler: Their order.
        options: Options of :class:`torch.utils.data.DataLoader`, such as ``num_workers``.
    """

    def __init__(self, cases: Dataset[Any], sampler: CaseSampler, **options: Any) -> None:
        # An item of the sampler is a whole batch, which the cases collate.
        super().__init__(cases, batch_size=None, sampler=sampler, **options)
        self.cases = cases
        self.case_sampler = sampler
        self._used = 0

    def __iter__(self) -> Any:
        self._used = self.case_sampler.first_batch()
        for batch in super().__iter__():
            self._used += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Epoch, the number of batches used in it, and the number of batches it has."""
        return {
            "epoch": self.case_sampler.epoch,
            "batches": self._used,
            "of": len(self),
            "world_size": self.case_sampler.world_size,
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue where :meth:`state_dict` was taken.

        Raises:
            ValueError: If that was in the middle of an epoch with other batches.
        """
        ours = {"of": len(self), "world_size": self.case_sampler.world_size}
        theirs = {key: state[key] for key in ours}
        if state["batches"] < state["of"] and ours != theirs:
            raise ValueError(
                f"the checkpoint was written in the middle of an epoch, after {state['batches']} "
                f"of {theirs['of']} batches on {theirs['world_size']} process(es), and the epoch "
                f"has {ours['of']} on {ours['world_size']} here; resume with the same batches and "
                f"processes until the end of the epoch"
            )
        self.case_sampler.skip(state["epoch"], state["batches"])
