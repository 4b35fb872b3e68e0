import numpy as np
import pytest
import torch

from flare_mesh.visualize import plot_spectra


def test_a_line_a_block_with_its_rank(ax):
    spectra = torch.zeros(2, 1, 2, 4, dtype=torch.float64)
    spectra[0] = 1.0
    spectra[1, 0, 0, :2] = 1.0
    spectra[1, 0, 1, :2] = 0.5
    plot_spectra(spectra, ax=ax)
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["block 1, effective rank 4.0", "block 2, effective rank 2.0"]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [0.75, 0.75, 1e-16, 1e-16])
    assert ax.get_yscale() == "log"


def test_one_layer_and_bad_shapes(ax):
    plot_spectra(torch.ones(1, 1, 3), ax=ax)
    assert len(ax.lines) == 1
    with pytest.raises(ValueError, match=r"shape \[L, B, H, M\] or \[B, H, M\] \(got \[3\]\)"):
        plot_spectra(torch.ones(3), ax=ax)
