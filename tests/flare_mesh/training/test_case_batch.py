import pickle

import pytest
import torch
from torch_geometric.data import Batch, Data

from flare_mesh.testing import random_graph
from flare_mesh.training.case_batch import batch_cases


def case(nodes, keys, number):
    data = random_graph(nodes, 3 if "x" in keys else 0, seed=number)
    out = Data(pos=data.pos, y=torch.full((nodes, 2), float(number)), case_id=f"case {number}")
    if "x" in keys:
        out.x = data.x
    if "weight" in keys:
        out.weight = torch.rand(nodes)
    if "edge_index" in keys:
        out.edge_index = torch.randint(nodes, (2, 3 * nodes - 1))
    return out


@pytest.mark.parametrize("keys", [(), ("x",), ("x", "weight"), ("edge_index",)])
@pytest.mark.parametrize("sizes", [[5], [4, 1, 7]])
def test_equal_to_a_batch_of_pyg(keys, sizes):
    cases = [case(nodes, keys, number) for number, nodes in enumerate(sizes)]
    weights = [0.5 + number for number in range(len(sizes))]
    batch = batch_cases(cases, weights)
    for data, weight in zip(cases, weights, strict=True):
        data.case_weight = torch.tensor([weight])
    expected = Batch.from_data_list(cases)
    for found in (batch, pickle.loads(pickle.dumps(batch)), batch.to("cpu")):
        assert set(found.keys()) == set(expected.keys())
        assert found.num_graphs == len(sizes)
        for key in expected.keys():  # noqa: SIM118
            same(found[key], expected[key])
        for a, b in zip(found.to_data_list(), cases, strict=True):
            assert set(a.keys()) == set(b.keys())
            for key in b.keys():  # noqa: SIM118
                same(a[key], b[key])


def same(a, b):
    if isinstance(b, torch.Tensor):
        assert a.dtype == b.dtype
        assert torch.equal(a, b)
    else:
        assert a == b
