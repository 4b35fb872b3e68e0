from pathlib import Path

import pytest
import torch
from torch_geometric.data import Data

from flare_mesh.datasets import FieldDataset
from flare_mesh.datasets.dataset_class import check_class_options, open_class
from flare_mesh.mesh import MeshData


class Cases(torch.utils.data.Dataset):
    """Cases whose ``y`` says how the data set was opened."""

    def __init__(self, *, value=0.0):
        self.value = value

    def __len__(self):
        return 5

    def __getitem__(self, number):
        return Data(pos=torch.ones(2, 3), y=torch.full((2,), self.value))


class WithSplit(Cases):
    def __init__(self, root, split, transform=None):
        super().__init__(value={"train": 1.0, "test": 2.0}[split])
        self.root = root


class WithTrain(Cases):
    def __init__(self, train=True):
        super().__init__(value=3.0 if train else 4.0)


class NeedsSize(Cases):
    def __init__(self, size):
        super().__init__(value=size)


class Fields(FieldDataset):
    FIELDS = {"u": 1}

    def __init__(self, root):
        super().__init__(root, ["a", "b", "c", "d", "e"], [], ["u"])

    def read(self, index):
        return MeshData(torch.ones(1, 2), u=torch.full((1, 1), float(index)))


def test_the_split_is_given_to_the_constructor():
    for split, value in (("train", 1.0), ("test", 2.0)):
        found = open_class("own:WithSplit", WithSplit, Path("here"), split, {"targets": {"u": 1}})
        assert (len(found), found[0].u.tolist()) == (5, [[value], [value]])
        assert found._wrapped.root == "here"
    for split, value in (("train", 3.0), ("test", 4.0)):
        assert open_class("own:WithTrain", WithTrain, "", split, {})[0].y[0] == value


def test_cases_without_splits_are_divided():
    for found in (Cases, Fields):
        parts = [open_class("own:C", found, "here", split, {}) for split in ("train", "test")]
        assert [len(part) for part in parts] == [4, 1]
    assert len({float(case.u) for part in parts for case in part}) == 5
    shares = {"fractions": {"train": 0.4, "test": 0.6}, "value": 7.0}
    found = open_class("own:Cases", Cases, "", "train", shares)
    assert (len(found), float(found[0].y[0])) == (2, 7)
    assert len(open_class("own:Cases", Cases, "", None, {})) == 5


@pytest.mark.parametrize(
    ("found", "split", "options", "message"),
    [
        (WithSplit, "val", {}, "the data set 'own:C' with .*: KeyError: 'val'"),
        (WithTrain, "val", {}, "unknown split 'val'; choose from"),
        (Cases, "val", {}, "unknown split 'val'; choose from"),
        (WithSplit, "train", {"fractions": {"train": 1}}, "has splits of its own; leave out"),
        (Fields, "test", {"fractions": {"train": 1.0, "test": 0.0}}, "split 'test' has no case"),
        (NeedsSize, "train", {}, "'own:C' needs the option 'size' in data.options"),
        (object, None, {}, "own:C: expected a data set with a length"),
    ],
)
def test_bad_options(found, split, options, message):
    with pytest.raises(ValueError, match=message):
        open_class("own:C", found, "", split, options)


def test_names_of_options():
    check_class_options("own:Cases", Cases, {"value": 1, "targets": {}, "fractions": {}})
    with pytest.raises(ValueError, match="'own:Cases' has no option 'valu'; did you mean 'value'"):
        check_class_options("own:Cases", Cases, {"valu": 1})
    with pytest.raises(ValueError, match="no option 'transform'"):
        check_class_options("own:WithSplit", WithSplit, {"transform": None})
    with pytest.raises(ValueError, match="no option 'targets'"):
        check_class_options("own:Fields", Fields, {"targets": {"u": 1}})
