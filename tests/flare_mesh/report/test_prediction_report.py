import json

import pytest
import torch

from flare_mesh import MeshData, write_mesh
from flare_mesh.cli import main
from flare_mesh.prediction import Prediction
from flare_mesh.report import write_report

MESH = MeshData(
    torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0.5]]),
    triangle=torch.tensor([[0, 1, 2], [1, 3, 2]]),
)


def save(path, score=1.0, **options):
    values = torch.tensor([[1.0], [2.0], [3.0], [4.0]])
    given = {"band": {"s": values / 10}, "coverage": 0.9, "ood_score": score} | options
    Prediction(path.name, MESH, {"s": values}, given.pop("truth", {}), {"s": "MPa"}, **given).save(
        path
    )


def test_a_file_with_its_truth(tmp_path, read_page, no_charts, small_pictures, capsys):
    truth = {"s": torch.tensor([[1.0], [2.0], [3.0], [2.0]])}
    save(tmp_path / "<b>.vtu", score=2.0, truth=truth)
    out = tmp_path / "r.html"
    assert main(["report", str(tmp_path / "<b>.vtu"), "--out", str(out)]) == 0
    page = read_page(out)
    assert page.texts["h1"] == ["<b>.vtu: report of predictions"]
    assert page.texts["h2"] == ["Numbers", "Pictures", "Look at the fields"]
    assert "It is unlike the training cases: do not trust" in page.texts["p"][0]
    # |(0, 0, 0, 2)| over |(1, 2, 3, 2)|, and the mean of the band.
    assert page.texts["td"] == ["4 nodes", "", "0.4714", "± 0.25 MPa"]
    assert page.texts["strong"] == ["2"]
    assert sum("image/webp" in one["src"] for one in page.attributes["img"]) == 1
    (shape,) = json.loads(page.scripts[0][1])["cases"]
    assert [one["name"] for one in shape["fields"][0]["views"]] == [
        "truth",
        "prediction",
        "error",
        "half-width of the band",
    ]


def test_a_folder_of_many(tmp_path, read_page, no_charts, small_pictures, monkeypatch):
    monkeypatch.setattr("flare_mesh.report.prediction_report.MAX_PICTURED", 1)
    for number in range(3):
        save(tmp_path / "in" / f"{number}.vtu", score=0.5 * number)
    missing = write_report(tmp_path / "in", tmp_path / "r.html")
    assert missing == ["There are pictures of 1 of 3 files, the most unlike the training cases."]
    page = read_page(tmp_path / "r.html")
    assert page.texts["h3"] == ["2.vtu"]
    assert page.texts["tr"].__len__() == 4
    assert "None of them is unlike" in page.texts["p"][0]
    # The prediction and its band.
    assert sum("image/webp" in one["src"] for one in page.attributes["img"]) == 2


def test_without_calibration_and_bad_sources(tmp_path, read_page, no_charts, small_pictures):
    save(tmp_path / "p.vtu", band={}, coverage=None, ood_score=None)
    write_report(tmp_path / "p.vtu", tmp_path / "r.html")
    page = read_page(tmp_path / "r.html")
    assert "was not calibrated" in page.texts["p"][0]
    with pytest.raises(ValueError, match="data: expected a run"):
        write_report(tmp_path / "p.vtu", tmp_path / "r.html", data="x")
    write_mesh(tmp_path / "m.vtu", MESH)
    with pytest.raises(ValueError, match="expected a file that 'flare-mesh predict' wrote"):
        write_report(tmp_path / "m.vtu", tmp_path / "r.html")
