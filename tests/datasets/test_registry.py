import inspect

import numpy as np
import pytest

from flare_mesh import datasets
from flare_mesh.datasets import FieldDataset, PointFolder, WrappedDataset
from flare_mesh.datasets.registry import DATASETS, build, check_options


@pytest.fixture
def root(tmp_path):
    for number in range(5):
        folder = tmp_path / f"case_{number}"
        folder.mkdir()
        np.save(folder / "pos.npy", np.ones((3, 2)))
        np.save(folder / "heat.npy", np.ones(3))
    return tmp_path


def test_every_data_set_has_a_name():
    public = {
        found
        for name in datasets.__all__
        if isinstance(found := getattr(datasets, name), type) and issubclass(found, FieldDataset)
    } - {FieldDataset, WrappedDataset}
    assert {check_options(name, {}) for name in DATASETS} == public
    assert len(DATASETS) == len(public)


@pytest.mark.parametrize("name", DATASETS)
def test_all_options_are_known(name):
    parameters = inspect.signature(check_options(name, {})).parameters.values()
    assert {"root", "split"} <= {parameter.name for parameter in parameters}
    assert not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)
    with pytest.raises(ValueError, match=f"'{name}' has no option 'target'; did you mean 'target"):
        check_options(name, {"target": ["heat"]})
    with pytest.raises(ValueError, match=f"'{name}' has no option 'transform'"):
        check_options(name, {"transform": None})


def test_builds_a_split(root):
    found = build("point_folder", root, "train", targets=["heat"])
    assert type(found) is PointFolder
    assert (len(found), len(build("point_folder", str(root), "test", targets=["heat"]))) == (4, 1)


def test_wrong_names(root):
    for wrong in ("PointFolder", "point-folder", "pointfolders"):
        with pytest.raises(ValueError, match=f"data set '{wrong}'; did you mean 'point_folder'"):
            build(wrong, root, "train")
    with pytest.raises(ValueError, match="unknown data set 'zzz'; choose from .*'airfoil'"):
        build("zzz", root, "train")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "needs the option 'targets'"),
        ({"targets": "heat"}, r"targets: expected a list of names .*; write \[heat\]"),
        ({"targets": None}, "'point_folder' with .*None"),
        ({"targets": ["heat"], "num_points": "many"}, "'point_folder' with .*many"),
        ({"targets": ["heat"], "num_points": -1}, "num_points of at least 1"),
        ({"targets": []}, "at least one target"),
    ],
)
def test_wrong_options(root, options, message):
    with pytest.raises(ValueError, match=message):
        build("point_folder", root, "train", **options)


def test_missing_files(tmp_path):
    with pytest.raises(FileNotFoundError):
        build("point_folder", tmp_path / "none", "train", targets=["heat"])


def test_a_single_name_where_a_data_set_accepts_it():
    check_options("mesh_folder", {"targets": "heat"})
