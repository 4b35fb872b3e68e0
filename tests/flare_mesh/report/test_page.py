"""A report in real Chromium."""

import pytest
import torch

from flare_mesh import MeshData
from flare_mesh.prediction import Prediction
from flare_mesh.report import write_report


@pytest.mark.browser
def test_a_report_opens_offline(tmp_path, page, coloured):
    mesh = MeshData(
        torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.5]]),
        triangle=torch.tensor([[0, 1, 2], [1, 3, 2]]),
    )
    values = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    Prediction("a", mesh, {"s": values}, {"s": values + 0.1}, {"s": "MPa"}).save(tmp_path / "a.vtu")
    write_report(tmp_path / "a.vtu", tmp_path / "a.html")
    page.goto((tmp_path / "a.html").as_uri())
    page.locator("#view canvas").first.scroll_into_view_if_needed()
    assert coloured("#view canvas") > 0.05
    page.locator("#view select").nth(2).select_option("error")
    assert coloured("#view canvas") > 0.02
