import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf import HexMesh
from lpbf.solve.grid import Grid
from lpbf.solve.multigrid import Multigrid
from lpbf.solve.plane_elimination import PlaneElimination
from lpbf.solve.preconditioner import make_preconditioner, nodes_per_plane, prefers_elimination


def chosen(mask, stiffness, clamped=True, device="cpu"):
    mesh = HexMesh.from_mask(mask, 1.0)
    layers = np.arange(mask.shape[2]) + 1
    return make_preconditioner(
        mesh.cell_index, stiffness, None, layers=layers, clamped=clamped,
        device=torch.device(device),
    )  # fmt: skip


def test_thin_parts_are_solved_directly(stiffness):
    wall = np.ones((1, 20, 10))
    assert isinstance(chosen(wall, stiffness), PlaneElimination)
    assert isinstance(chosen(wall, stiffness, clamped=False), Multigrid)
    assert isinstance(chosen(wall, stiffness, device="meta"), Multigrid)


@pytest.mark.parametrize(
    ("mask", "expected"),
    [
        (np.ones((1, 60, 40)), True),
        (np.ones((24, 24, 24)), False),
        (np.ones((24, 24, 24)) - np.pad(np.ones((22, 22, 24)), ((1, 1), (1, 1), (0, 0))), True),
        (np.ones((1, 2000, 3)), False),  # needs too much memory
    ],
)
def test_choice(mask, expected):
    cells = HexMesh.from_mask(mask, 1.0).cell_index
    assert prefers_elimination(cells, np.arange(mask.shape[2]) + 1) is expected


@settings(deadline=None, max_examples=10)
@given(st.data())
def test_nodes_per_plane(masks, data):
    cells = HexMesh.from_mask(data.draw(masks()), 1.0).cell_index
    expected = np.bincount(Grid.from_cells(cells).node_index[:, 2], minlength=cells[-1, 2] + 2)
    np.testing.assert_array_equal(nodes_per_plane(cells), expected)
