import pytest
import torch
from torch_geometric.data import Data

from flare_mesh.training.case_loader import CaseLoader
from flare_mesh.training.case_sampler import CaseSampler
from flare_mesh.training.cases import Cases


class Points:
    cases = [str(i) for i in range(7)]

    def indices(self):
        return range(7)

    def __getitem__(self, index):
        return Data(pos=torch.full((1, 1), float(index)), y=torch.rand(1, 1), case_id=str(index))


def loader(num_workers=0):
    sampler = CaseSampler([1] * 7, batch_size=2, shuffle=True, mean=True, seed=3)
    options = {"num_workers": num_workers, "persistent_workers": num_workers > 0}
    return CaseLoader(Cases(Points(), range(7)), sampler, **options)


def ids(batches):
    return [(batch.case_id, batch.y.tolist()) for batch in batches]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_resuming_in_the_middle_of_an_epoch(num_workers):
    whole = loader()
    whole.case_sampler.set_epoch(4)
    expected = ids(whole)
    assert len(whole) == len(expected) == 4
    first = loader(num_workers)
    first.case_sampler.set_epoch(4)
    batches = iter(first)
    begun = ids(next(batches) for _ in range(2))
    state = first.state_dict()
    assert (state["epoch"], state["batches"]) == (4, 2)  # not what the workers have read ahead
    again = loader(num_workers)
    again.load_state_dict(state)
    again.case_sampler.set_epoch(4)
    assert begun + ids(again) == expected
    assert again.state_dict() == {"epoch": 4, "batches": 4, "of": 4, "world_size": 1}
    again.case_sampler.set_epoch(5)
    assert len(ids(again)) == 4


def test_other_batches_in_the_middle_of_an_epoch_are_refused():
    state = {"epoch": 0, "batches": 1, "of": 3, "world_size": 2}
    with pytest.raises(ValueError, match=r"after 1 of 3 batches on 2 process\(es\), and .* 4 on 1"):
        loader().load_state_dict(state)
    loader().load_state_dict({**state, "batches": 3})  # at its end anything goes
