import re

import pytest
import torch

from flare_mesh import MeshData, read_mesh, write_mesh
from flare_mesh.io import mesh_times
from flare_mesh.io.time_steps import choose_step
from flare_mesh.testing import unit_mesh


@pytest.mark.parametrize(
    ("times", "step", "chosen"),
    [((), None, 0), ((), 0, 0), ((2.0,), None, 0), ((0.0, 1.0), 1, 1), ((0.0, 1.0, 2.0), -1, 2)],
)
def test_choose_step(times, step, chosen):
    assert choose_step(times, step) == chosen


def test_several_steps_are_listed():
    with pytest.raises(ValueError, match=re.escape("has 3 time steps")) as error:
        choose_step((0.0, 0.5, 1.5), None)
    assert str(error.value).endswith("their times are 0, 0.5, 1.5")
    with pytest.raises(ValueError, match=re.escape("0, 1, 2, 3, 4, 5, ..., 99")):
        choose_step(range(100), None)


@pytest.mark.parametrize(("times", "step"), [((), 1), ((0.0, 1.0), 2), ((0.0, 1.0), -3)])
def test_missing_step(times, step):
    with pytest.raises(ValueError, match=re.escape(f"(got {step})")):
        choose_step(times, step)


def test_file_of_one_mesh(tmp_path):
    file = tmp_path / "one.vtu"
    pos, cells = unit_mesh("tetra")
    mesh = MeshData(pos, **cells)
    write_mesh(file, mesh)
    assert mesh_times(file) == []
    assert torch.equal(read_mesh(file, step=-1).pos, mesh.pos)
    with pytest.raises(ValueError, match="cannot be read as a mesh .expected a step"):
        read_mesh(file, step=1)
    with pytest.raises(ValueError, match="not a mesh format"):
        mesh_times(tmp_path / "one.txt")
