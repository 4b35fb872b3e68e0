import numpy as np
import pytest
import torch

from flare_mesh.datasets.grid import grid_cells, grid_positions, is_left_handed
from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.geometry import cell_measures


@pytest.mark.parametrize("shape", [(5,), (4, 3), (3, 4, 2)])
def test_cells_are_translated_reference_cells(shape):
    pos = grid_positions(*(np.arange(size) for size in shape))
    ((kind, cells),) = grid_cells(shape).items()
    reference = torch.tensor(CELL_TYPES[kind].reference)
    assert cells.dtype == torch.int64
    corners = pos[cells]
    assert torch.equal(corners - corners[:, :1], reference.expand(len(cells), -1, -1))
    first = grid_positions(*(np.arange(size - 1) for size in shape))
    assert torch.equal(corners[:, 0], first)


def test_numbering_is_that_of_a_raveled_array():
    field = np.arange(12.0).reshape(4, 3)
    x, y = np.arange(4) / 3, np.arange(3) / 2
    pos = grid_positions(x, y).numpy()
    for i in range(4):
        for j in range(3):
            np.testing.assert_allclose(pos[int(field[i, j])], [x[i], y[j]], rtol=1e-6)


@pytest.mark.parametrize("shape", [(3, 4), (3, 4, 2)])
def test_cells_of_left_handed_grids_have_positive_measures(shape):
    pos = grid_positions(*(np.arange(size) for size in shape)).flip(1)
    cells = grid_cells(shape, left_handed=True)
    (measures,) = cell_measures(pos, cells).values()
    torch.testing.assert_close(measures, torch.ones_like(measures))


def test_too_many_axes():
    with pytest.raises(ValueError, match=r"one to three axes \(got \[2, 2, 2, 2\]\)"):
        grid_cells((2, 2, 2, 2))


def test_handedness_of_a_bent_grid():
    radius, angle = np.meshgrid(np.linspace(1, 2, 5), np.linspace(0, 6, 20), indexing="ij")
    x, y = radius * np.cos(angle), radius * np.sin(angle)
    assert not is_left_handed(x, y)
    assert is_left_handed(x[::-1], y[::-1])
    assert is_left_handed(x.T, y.T)
