"""A loader of batches that a resumed run takes up where it stopped."""

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from flare_mesh.training.case_sampler import CaseSampler
from flare_mesh.training.cases import Cases


class CaseLoader(DataLoader):
    """Batches of cases in the order of a sampler, read by ``num_workers`` processes.

    Its state, which Lightning saves with a checkpoint and gives back, is the number of batches
    handed out in the epoch; those that workers have read ahead are not among them.

    Args:
        cases: The cases.
        sampler: Their order.
        options: Of :class:`torch.utils.data.DataLoader`.
    """

    def __init__(self, cases: Cases, sampler: CaseSampler, **options: Any) -> None:
        # The sampler's items are whole batches, which the data set puts together.
        super().__init__(cases, batch_size=None, sampler=sampler, **options)
        self.cases = cases
        self.case_sampler = sampler
        self._handed_out = 0

    def __iter__(self) -> Iterator[Any]:
        self._handed_out = self.case_sampler.first_batch()
        for batch in super().__iter__():
            self._handed_out += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Epoch, and the batches of it that were handed out."""
        return {"epoch": self.case_sampler.epoch, "batches": self._handed_out}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on where :meth:`state_dict` was taken."""
        self.case_sampler.skip(state["epoch"], state["batches"])
