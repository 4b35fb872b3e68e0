import pytest

from flare_mesh.visualize import plot_learning_curves


def test_curves_of_losses_and_fields(run, ax):
    plot_learning_curves(run, ax=ax)
    found = [tuple(map(tuple, line.get_data())) for line in ax.lines]
    assert found == [
        ((5.0, 10.0, 15.0), (0.8, 0.4, 0.2)),
        ((5.0, 15.0), (0.9, 0.5)),  # an epoch without validation has no point
        ((5.0, 15.0), (0.7, 0.4)),
        ((5.0, 15.0), (1.1, 0.6)),
    ]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[:3] == ["training loss", "validation error", "validation error of u"]
    assert ax.get_ylabel() == "relative L2 error"
    ax.figure.canvas.draw()  # "s$1$" is no formula


def test_another_loss(run, ax):
    (run / "config.yaml").write_text("model: {loss: {name: mse}}\n")
    plot_learning_curves(run, ax=ax)
    assert ax.get_ylabel() == "loss, relative error"


def test_a_run_without_epochs(run, ax):
    (run / "metrics.csv").unlink()
    with pytest.raises(ValueError, match=r"metrics\.csv: expected a row for each epoch"):
        plot_learning_curves(run, ax=ax)
