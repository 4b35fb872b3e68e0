import json

import pytest

from flare_mesh.visualize import plot_coverage


def test_reached_and_nominal_shares(run, ax):
    plot_coverage(run, ax=ax)
    points = ax.containers[0].lines[0]
    assert points.get_xdata() == pytest.approx([92, 80])
    bar = ax.containers[0].lines[2][0].get_segments()
    assert [(b[0][0], b[1][0]) for b in bar] == [pytest.approx((91, 93)), pytest.approx((80, 80))]
    likely = next(line for line in ax.lines if line.get_linewidth() == 9)
    assert likely.get_xdata() == pytest.approx([85, 95])
    assert "nominal 90 %" in ax.get_xlabel()
    assert [label.get_text() for label in ax.get_yticklabels()] == ["u", "s$1$"]


def test_runs_without_bands_or_damaged(run, ax):
    file = run / "summary.json"
    summary = json.loads(file.read_text())
    del summary["bands"]["covered_error"]
    file.write_text(json.dumps(summary))
    with pytest.raises(ValueError, match=r"summary\.json: damaged \(bands: KeyError"):
        plot_coverage(run, ax=ax)
    del summary["bands"]
    file.write_text(json.dumps(summary))
    with pytest.raises(ValueError, match="expected bands that were tested"):
        plot_coverage(run, ax=ax)
