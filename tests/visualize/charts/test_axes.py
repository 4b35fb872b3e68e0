import sys

import pytest
from matplotlib import pyplot

from flare_mesh.visualize import plot_parity
from flare_mesh.visualize.charts.axes import legend_label, with_unit


def test_a_figure_is_made_without_axes():
    ax = plot_parity([1.0, 2.0], [1.0, 2.0])
    assert ax.figure in map(pyplot.figure, pyplot.get_fignums())
    pyplot.close(ax.figure)


def test_without_matplotlib(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match=r"need matplotlib.*pip install flare-mesh\[view\]"):
        plot_parity([1.0], [1.0])


def test_labels():
    assert with_unit("u", "mm") == "u [mm]"
    assert with_unit("u", None) == with_unit("u", "1") == "u"
    assert legend_label("_a$b$") == r" _a\$b\$"
