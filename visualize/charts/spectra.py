"""Spectra of the mixing matrices of a trained operator."""

from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from flare_mesh.analysis import effective_rank
from flare_mesh.visualize.charts.axes import chart_axes, set_labels, use_log_axis

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LEAST = 1e-16  # smaller eigenvalues are rounding errors
_COLOUR_MAP = "viridis"


def plot_spectra(spectra: Tensor, *, title: str = "", ax: "Axes | None" = None) -> "Axes":
    """Plot the eigenvalues of the mixing matrices, one line a block.

    A line is the median over the graphs and heads, an area their range. The legend has the mean
    effective rank of each block (:func:`~flare_mesh.analysis.effective_rank`). Eigenvalues below
    1e-16 are drawn at 1e-16.

    Args:
        spectra: What :func:`~flare_mesh.analysis.operator_spectra` gives, [L, B, H, M] for L
            blocks, B graphs and H heads; or [B, H, M] of one layer from
            :func:`~flare_mesh.analysis.mixing_spectrum`.
        title: Title of the chart.
        ax: Axes to draw on; those of a new figure by default.

    Returns:
        The axes.

    Raises:
        ValueError: If the shape is another, or a value is negative or not finite.
        ImportError: If matplotlib is not installed.
    """
    if spectra.dim() == 3:
        spectra = spectra[None]
    if spectra.dim() != 4 or not spectra.numel():
        raise ValueError(
            f"expected 'spectra' of shape [L, B, H, M] or [B, H, M] (got {list(spectra.shape)})"
        )
    ranks = effective_rank(spectra).mean(dim=(1, 2)).tolist()
    values = spectra.clamp_min(_LEAST).flatten(1, 2).double().cpu().numpy()
    ax = chart_axes(ax, size=(6.0, 4.0))
    from matplotlib import colormaps

    index = np.arange(1, values.shape[2] + 1)
    colours = colormaps[_COLOUR_MAP](np.linspace(0, 0.85, len(values)))
    for block, (rows, colour) in enumerate(zip(values, colours, strict=True), 1):
        ax.fill_between(index, rows.min(0), rows.max(0), color=colour, alpha=0.15, linewidth=0)
        label = f"block {block}, effective rank {ranks[block - 1]:.1f}"
        ax.plot(index, np.median(rows, axis=0), color=colour, label=label)
    use_log_axis(ax)
    ax.legend(fontsize=8, frameon=False)
    set_labels(ax, "number of the eigenvalue", "eigenvalue of the mixing matrix", title)
    return ax
