import numpy as np
import pytest

from flare_mesh.viewer.fields import list_fields, values_of
from flare_mesh.visualize.dataset import to_grid


def test_what_a_prediction_has(prediction):
    displacement, stress = list_fields(to_grid(prediction))
    assert displacement.name == "displacement"
    assert displacement.kinds == ("truth", "prediction", "error")
    assert displacement.components == ("norm", "x", "y", "z")
    assert displacement.is_vector
    assert stress.kinds == ("truth", "prediction", "error", "band")
    assert stress.components == ()
    assert not stress.is_vector


def test_values(prediction):
    grid = to_grid(prediction)
    error = values_of(grid, "displacement", "error")
    np.testing.assert_allclose(error.values, np.tile([0, 0.03, 0.04], (27, 1)), atol=1e-7)
    assert error.label == "error of displacement [mm]"
    np.testing.assert_allclose(values_of(grid, "stress", "band").values, 2.0)
    assert values_of(grid, "stress", "prediction").values[0] == pytest.approx(5.0)


def test_a_plain_mesh(prediction):
    grid = to_grid(prediction.mesh)
    grid.cell_data["sigma"] = np.zeros((8, 6))
    grid.point_data["many"] = np.zeros((27, 5))
    many, sigma = list_fields(grid)
    assert (many.kinds, many.components) == (("truth",), ("0", "1", "2", "3", "4"))
    assert sigma.components == ("xx", "yy", "zz", "xy", "yz", "xz")


def test_a_truth_elsewhere(prediction):
    grid = to_grid(prediction)
    del grid.point_data["stress"]
    grid.cell_data["stress"] = np.zeros(8)
    with pytest.raises(ValueError, match="'stress': expected a truth with the nodes or cells"):
        values_of(grid, "stress", "error")
