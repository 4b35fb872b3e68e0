import pytest
import torch

from flare_mesh import MeshData
from flare_mesh.datasets import Darcy, FieldDataset


class Odd(FieldDataset):
    """A data set with fields called x and y."""

    FIELDS = {"y": 1, "x": 1, "u": 2, "load": 1}
    UNITS = {"u": "mm"}
    ADDRESS = "a shelf"

    def __init__(self, root, **options):
        super().__init__(root, ["a"], **options)

    def read(self, index):
        pos = torch.arange(6.0).view(3, 2)
        fields = {"y": pos[:, :1], "x": pos[:, 1:], "u": pos, "load": torch.ones(1, 1)}
        return MeshData(pos, **{key: value.clone() for key, value in fields.items()})


def test_a_field_called_y_is_not_the_target(tmp_path):
    case = Odd(tmp_path, inputs=["y", "load"], targets=["u"])[0]
    assert torch.equal(case.x, torch.tensor([[0.0, 1], [2, 1], [4, 1]]))
    assert torch.equal(case.y, case.u)
    assert case.units == {"u": "mm"}
    assert Odd(tmp_path, inputs=[], targets=["x"])[0].x is None
    assert Odd(tmp_path, inputs=[], targets=["x"]).grid_shape is None
    alone = Odd(tmp_path, inputs=["load"], targets=["u"])[0]
    alone.x.mul_(2)  # not a view of the field


def test_choices(tmp_path):
    with pytest.raises(ValueError, match=r"Odd: unknown inputs \['v'\]; choose from"):
        Odd(tmp_path, inputs=["v"], targets=["u"])
    with pytest.raises(ValueError, match="Odd: expected at least one target"):
        Odd(tmp_path, inputs=[], targets=[])


def test_data_sets_that_cannot_be_downloaded(tmp_path):
    with pytest.raises(
        NotImplementedError, match=f"get it from a shelf and put it into {tmp_path}"
    ):
        Odd.download(tmp_path)
    with pytest.raises(NotImplementedError, match="Darcy: cannot be downloaded automatically"):
        Darcy.download(tmp_path)
