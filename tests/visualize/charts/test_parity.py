import numpy as np
import pytest
import torch

from flare_mesh.visualize import plot_parity


def test_points_labels_and_r2(ax, texts):
    truth = np.array([0.0, 1.0, 2.0, 3.0])
    predicted = np.array([0.5, 1.0, 2.0, 2.5])
    found = plot_parity(predicted, torch.tensor(truth), field="a$b$", unit="mm", title="t", ax=ax)
    assert found is ax
    points = np.asarray(ax.collections[0].get_offsets())
    np.testing.assert_array_equal(points, np.column_stack([truth, predicted]))
    assert texts(ax) == "R² = 0.9000"  # 1 - 0.5 / 5
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("true a$b$ [mm]", "predicted a$b$ [mm]")
    assert ax.get_xlim() == ax.get_ylim() == (-0.09, 3.09)
    ax.figure.canvas.draw()


def test_many_points_are_counted(ax):
    values = torch.linspace(0, 1, 6000).reshape(-1, 3)
    plot_parity(values, values, ax=ax)
    (hexagons,) = ax.collections
    assert hexagons.get_array().sum() == 6000
    assert len(ax.figure.axes) == 2  # the colour bar


def test_bad_values(ax, texts):
    plot_parity([1.0, np.nan, 3.0], [1.0, 2.0, np.inf], ax=ax)
    assert texts(ax) == "constant truth\n2 values that are not finite are left out"
    with pytest.raises(ValueError, match=r"one shape .* \(got \[2\] and \[3\]\)"):
        plot_parity(torch.zeros(2), torch.zeros(3), ax=ax)
    with pytest.raises(ValueError, match=r"got none among 2"):
        plot_parity([np.nan, 1.0], [0.0, np.nan], ax=ax)
    with pytest.raises(ValueError, match="with N >= 1"):
        plot_parity([], [], ax=ax)
