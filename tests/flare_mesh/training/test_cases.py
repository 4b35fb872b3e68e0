import pytest
import torch
from torch_geometric.data import Data

from flare_mesh.data.transforms import RandomNodes
from flare_mesh.testing import random_graph
from flare_mesh.training.case_sampler import CaseKey
from flare_mesh.training.cases import Cases, _draw_nodes
from flare_mesh.training.seeding import seeded


class Rods:
    """Cases of unequal size that draw a number as they are read."""

    def __init__(self, count=4, edges=False):
        self.cases, self.edges, self.read = [f"rod_{i}" for i in range(count)], edges, 0

    def indices(self):
        return range(len(self.cases))

    def __getitem__(self, index):
        self.read += 1
        size = index + 1
        out = Data(pos=torch.full((size, 2), float(index)), y=torch.rand(size, 1), extra="gone")
        if self.edges:
            out.edge_index = torch.tensor([[0], [size - 1]])
        out.case_id = self.cases[index]
        return out


def keys(*indices, seed=5):
    return [CaseKey(index, seed + index, 0.5) for index in indices]


def test_fields_of_a_batch():
    cases = Cases(Rods(edges=True), [3, 1], edges=True)
    batch = cases[keys(1, 0)]
    assert batch.case_id == ["rod_1", "rod_3"] == cases.case_ids[::-1]
    assert batch.ptr.tolist() == [0, 2, 6]
    assert batch.edge_index.tolist() == [[0, 2], [1, 5]]
    assert batch.case_weight.tolist() == [0.5, 0.5]
    assert "extra" not in batch
    assert "edge_index" not in Cases(Rods(edges=True), [0])[keys(0)]
    assert [len(case.pos) for case in cases] == [4, 2]
    for wrong in (2, -1):
        with pytest.raises(IndexError):
            cases[wrong]


def test_random_numbers_depend_on_the_key_alone():
    once, again = Cases(Rods(), range(4)), Cases(Rods(), range(4))
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    first = once[keys(2, 3)].y
    assert torch.equal(torch.rand(1), expected)  # the run's own draws are as they were
    again[1]
    assert torch.equal(again[keys(2)].y, first[:3])
    assert torch.equal(once[2].y, again[2].y)
    assert not torch.equal(again[keys(2, seed=6)].y, first[:3])


def test_cached_cases_do_not_depend_on_the_epoch():
    once, again = (Cases(Rods(), range(4), in_memory=True) for _ in range(2))
    first = once[keys(2)].y
    again[2]
    assert torch.equal(again[keys(2, seed=99)].y, first)
    assert again.dataset.read == 1


def test_augmenting_does_not_change_cached_cases():
    def spoil(case):
        case.pos.zero_()
        case.y = case.y + torch.rand(1)
        return case

    cases = Cases(Rods(), range(4), in_memory=True, augment=spoil)
    before = cases[3].clone()
    one, other, same = (cases[keys(3, seed=seed)].y for seed in (1, 2, 1))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert torch.equal(cases[3].pos, before.pos)
    assert torch.equal(cases[3].y, before.y)


def test_cases_cached_without_edges_are_read_again_with_edges():
    cases = Cases(Rods(edges=True), range(3), in_memory=True)
    before = cases[keys(2)]
    cases.edges = True
    batch = cases[keys(2, 1)]
    assert batch.edge_index.tolist() == [[0, 3], [2, 4]]
    assert torch.equal(batch.y[:3], before.y)
    read = cases.dataset.read
    cases[keys(2, 1)]
    assert cases.dataset.read == read


def test_missing_edges():
    with pytest.raises(ValueError, match=r"case 'rod_1': .* add 'knn_edges', .* to data.features"):
        Cases(Rods(), range(2), edges=True)[1]


@pytest.mark.parametrize("by", ["uniform", "weight"])
def test_drawn_nodes_are_those_of_the_transform(by):
    case = random_graph(9, 2)
    case.weight, case.y, case.case_id = torch.rand(9) + 0.1, torch.rand(9, 1), "a"
    draw = RandomNodes(4, by=by)
    with seeded(5):
        expected = draw(case)
    with seeded(5):
        found = _draw_nodes(case, draw)
    assert found.case_id == "a"
    for key in ("pos", "x", "y", "weight"):
        assert torch.equal(found[key], expected[key])
