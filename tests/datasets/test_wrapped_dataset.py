import pytest
import torch
from torch_geometric.data import Data

from flare_mesh import MeshData
from flare_mesh.datasets import WrappedDataset
from flare_mesh.testing import random_graph
from flare_mesh.training import FieldDataModule, build_module


def case(nodes=4, channels=3, **changes):
    pos = torch.arange(2.0 * nodes, dtype=torch.float64).reshape(nodes, 2)
    values = {"pos": pos, "x": torch.arange(nodes), "y": pos[:, :1] + torch.arange(channels)}
    return Data(**{key: value for key, value in (values | changes).items() if value is not None})


def test_fields_of_a_case():
    face = torch.tensor([[0], [1], [2]])
    edges = torch.tensor([[0, 1], [1, 0]])
    given = case(weight=torch.ones(4), face=face, edge_index=edges)
    found = WrappedDataset([given], targets={"s": 1, "u": 2}, units={"s": "MPa"})
    assert (found.input_channels, found.target_channels) == ({"x": 1}, {"s": 1, "u": 2})
    one = found[0]
    assert one.x.tolist() == [[0.0], [1.0], [2.0], [3.0]]
    assert one.y.tolist() == [[0, 1, 2], [2, 3, 4], [4, 5, 6], [6, 7, 8]]
    assert one.u.tolist() == one.y[:, 1:].tolist()
    assert one.weight.tolist() == [1] * 4
    assert one.edge_index.equal(edges)
    assert one.triangle.tolist() == [[0, 1, 2]]
    assert {one.pos.dtype, one.x.dtype, one.y.dtype} == {torch.float32}
    assert (one.units, one.case_id) == ({"s": "MPa"}, "0")
    assert found.recipe().targets == {"s": 1, "u": 2}


def test_cells_of_meshes_are_kept():
    mesh = MeshData(torch.rand(3, 2), triangle=torch.tensor([[0, 1, 2]]))
    mesh.y = torch.ones(3)
    assert WrappedDataset([mesh])[0].triangle.tolist() == [[0, 1, 2]]


def test_cases_are_divided_by_fractions():
    cases = [case(nodes=3 + number) for number in range(10)]
    shares = {"train": 0.6, "val": 0.2, "test": 0.2}
    parts = [WrappedDataset(cases, split=split, fractions=shares) for split in shares]
    assert [len(part) for part in parts] == [6, 2, 2]
    names = [name for part in parts for name in part.cases]
    assert sorted(names, key=int) == [str(number) for number in range(10)]
    assert all(len(one.pos) == 3 + int(one.case_id) for part in parts for one in part)


@pytest.mark.parametrize(
    ("cases", "options", "message"),
    [
        ([], {}, "expected at least one case .*got none of 0"),
        (iter([case()]), {}, "a data set with a length"),
        ([(1, 2)], {}, r"case 0: expected torch_geometric.data.Data \(got tuple\); return Data"),
        ([case(pos=None)], {}, r"case 0: expected 'pos' of shape \[N, C\] \(got none\); add it"),
        ([case(y=None)], {}, r"case 0: expected 'y' of shape \[4, C\] \(got none\); add it"),
        ([case(y=torch.ones(1, 3))], {}, r"\[4, C\] \(got \[1, 3\]\); a value of the whole case"),
        ([case(y=torch.ones(4, dtype=torch.long))], {}, "'y' of real numbers .*int64"),
        ([case()], {"targets": {"u": 2}}, "targets: .* 3 in total as in 'y'"),
        ([case()], {"targets": ["u"]}, "targets: expected names with their channels, 3 in total"),
        ([case(x=None)], {"inputs": {"u": 2}}, "inputs: .* 0 in total as in 'x'"),
        ([case()], {"targets": {"x": 3}}, "different names of inputs and targets"),
        ([case()], {"targets": {"face": 3}}, "the name 'face' is reserved"),
        ([case()], {"units": {"u": "mm"}}, r"units of the fields \['x', 'y'\]"),
    ],
)
def test_bad_data_sets(cases, options, message):
    with pytest.raises(ValueError, match=message):
        WrappedDataset(cases, name="plates", **options)


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (case(channels=2), "case 1: expected 'y' with 3 channels, as in the first case .got 2"),
        (case(x=None), "case 1: expected 'x' as in the first case"),
        (case(y=torch.full((4, 3), torch.nan)), "case '1': 12 values of 'y' are NaN"),
    ],
)
def test_cases_that_differ(second, message):
    found = WrappedDataset([case(), second], name="plates")
    with pytest.raises(ValueError, match=message):
        found[1]


def test_a_model_of_data_sets_given_as_objects():
    cases = [random_graph(5 + number).update({"y": torch.ones(5 + number)}) for number in range(4)]
    data = FieldDataModule.from_cases(cases[:3], 0.4, cases[3:], targets={"u": 1}, batch_size=2)
    sizes = {stage: len(data.cases(stage)) for stage in ("train", "val", "test")}
    assert sizes == {"train": 2, "val": 1, "test": 1}
    options = {"hidden_channels": 8, "num_layers": 1, "heads": 2, "num_latents": 2}
    module = build_module(data, options=options)
    assert module.surrogate.fields == {"u": 1}
    with pytest.raises(ValueError, match="test cases, case 0: expected 'y'"):
        FieldDataModule.from_cases(cases, test=[random_graph(3)])
    other = WrappedDataset(cases, targets={"w": 1})
    data = FieldDataModule.from_cases(WrappedDataset(cases), test=other)
    assert len(data.cases("train")) == 4
    with pytest.raises(ValueError, match="targets are .*'w': 1.* in the test cases"):
        data.cases("test")
