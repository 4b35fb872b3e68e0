import numpy as np
import pytest

from flare_mesh.io.grid_cells import check_grid, grid_cells, grid_points


@pytest.mark.parametrize(
    ("dimensions", "code", "second"),
    [
        ((3, 1, 1), 3, [1, 2]),
        ((1, 3, 1), 3, [1, 2]),
        ((3, 2, 1), 9, [1, 2, 5, 4]),
        ((3, 1, 2), 9, [1, 2, 5, 4]),
        ((1, 3, 2), 9, [1, 2, 5, 4]),
        ((3, 2, 2), 12, [1, 2, 5, 4, 7, 8, 11, 10]),
    ],
)
def test_cells_of_a_grid(dimensions, code, second):
    cells, found = grid_cells(dimensions)
    assert (len(cells), found, cells[1].tolist()) == (2, code, second)
    assert grid_cells((1, 1, 1))[0].tolist() == [[0]]


def test_x_changes_fastest():
    points = grid_points([np.array([0.0, 1.0]), np.array([5.0]), np.array([7.0, 8.0])])
    assert points.tolist() == [[0, 5, 7], [1, 5, 7], [0, 5, 8], [1, 5, 8]]


def test_size_of_a_grid():
    check_grid((100, 100, 100), 0)
    check_grid((200, 200, 200), 8_000_000)
    with pytest.raises(ValueError, match=r"expected positive dimensions of a grid \(got \[0, 1, 1"):
        check_grid((0, 1, 1), 100)
    with pytest.raises(
        ValueError, match="declares a grid of 8,000,000 points, more than a file of"
    ):
        check_grid((200, 200, 200), 7_999_999)
