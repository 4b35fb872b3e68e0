import math

import pytest
import torch

from flare_mesh.nn.grid import check_grid_shape, check_grids, reference_distances
from flare_mesh.ops.layout import Layout


def test_distances_to_reference_points():
    got = reference_distances([3, 2], 3, torch.zeros((), dtype=torch.float64))
    want = [
        [math.hypot(i / 2 - a / 2, j - b / 2) for a in range(3) for b in range(3)]
        for i in range(3)
        for j in range(2)
    ]
    torch.testing.assert_close(got, torch.tensor(want, dtype=torch.float64))
    assert reference_distances([4, 3, 2], 2, got).shape == (24, 8)


def test_graphs_that_are_no_grids_are_refused():
    check_grids(None, Layout(torch.tensor([0, 0, 6, 12, 12])), [3, 2])
    message = r"expected grids of 3 x 2 = 6 nodes, as 'grid_shape' says \(got a graph of 5 nodes\)"
    with pytest.raises(ValueError, match=message):
        check_grids(None, Layout(torch.tensor([0, 6, 11])), [3, 2])


def test_grid_shapes():
    assert check_grid_shape(None, None) is None
    assert check_grid_shape(None, (3, 4)) == [3, 4]
    for wrong in ([], [1, 2, 3, 4], [3, 0], [3.0], "33", 7, [True]):
        with pytest.raises(ValueError, match="'grid_shape' to be the numbers of nodes along 1 to"):
            check_grid_shape(None, wrong)
