"""A loader of batches that a resumed run takes up where it stopped."""

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

    def __iter__(self) -> Any:
        self._handed_out = self.case_sampler.first_batch()
        for batch in super().__iter__():
            self._handed_out += 1
            yield batch

    def state_dict(self) -> dict[str, int]:
        """Epoch, the batches of it that were handed out, and how many it has."""
        return {
            "epoch": self.case_sampler.epoch,
            "batches": self._handed_out,
            "of": len(self),
            "world_size": self.case_sampler.world_size,
        }

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Goes on where :meth:`state_dict` was taken.

        Raises:
            ValueError: If that was in the middle of an epoch of other batches.
        """
        ours = {"of": len(self), "world_size": self.case_sampler.world_size}
        theirs = {key: state[key] for key in ours}
        if state["batches"] < state["of"] and ours != theirs:
            raise ValueError(
                f"the checkpoint was written in the middle of an epoch, after {state['batches']} "
                f"of {theirs['of']} batches on {theirs['world_size']} process(es) (now "
                f"{ours['of']} on {ours['world_size']}); go on with the same batches and "
                f"processes until its end"
            )
        self.case_sampler.skip(state["epoch"], state["batches"])
