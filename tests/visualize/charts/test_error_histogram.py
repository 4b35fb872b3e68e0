import torch

from flare_mesh.visualize import plot_error_histogram


def test_scalar_errors(ax, texts):
    truth = torch.zeros(100)
    predicted = torch.cat([torch.full((90,), 1.0), torch.full((10,), -3.0)])
    plot_error_histogram(predicted, truth, field="s", unit="MPa", ax=ax)
    counts = [bar.get_height() for bar in ax.patches]
    assert (counts[0], counts[-1], sum(counts)) == (10, 90, 100)
    assert texts(ax) == "mean 0.6 MPa\nroot mean square 1.34 MPa\n95 % below 3 MPa"
    assert ax.get_yscale() == "log"
    assert ax.get_xlabel() == "error of s [MPa]"


def test_norms_of_a_vector(ax, texts):
    truth = torch.zeros(4, 2)
    predicted = torch.tensor([[3.0, 4.0], [0.0, 5.0], [-5.0, 0.0], [torch.nan, 0.0]])
    plot_error_histogram(predicted, truth, field="u", ax=ax)
    assert texts(ax).startswith("root mean square 5\n95 % below 5\n1 values that are not finite")
    assert ax.get_xlabel() == "norm of the error of u"
