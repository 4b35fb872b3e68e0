import json
import shutil

import pytest
import yaml

from flare_mesh.cli import main
from flare_mesh.report import write_report


@pytest.fixture
def run(trained, tmp_path):
    """Copy of the folder of a run."""
    copy = tmp_path / "a <run>"
    shutil.copytree(trained[0], copy, ignore=shutil.ignore_patterns("checkpoints", "events"))
    return copy


def change_config(run, **data):
    file = run / "config.yaml"
    config = yaml.safe_load(file.read_text())
    config["data"] |= data
    file.write_text(yaml.safe_dump(config))


def test_a_report_has_all_of_a_run(run, tmp_path, read_page, small_pictures, no_charts, capsys):
    out = tmp_path / "r.html"
    assert main(["report", str(run), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"report: {out}\n"
    page = read_page(out)
    assert page.texts["h1"] == ["a <run>: report of a training"]
    assert page.texts["h2"] == [
        "Errors on the test cases",
        "Training",
        "Errors at the nodes",
        "The best, the median and the worst test case",
        "Look at the cases",
        "Mixing matrices",
    ]
    summary = json.loads((run / "summary.json").read_text())
    cells = page.texts["td"] + page.texts["strong"]
    for errors in (summary["test_relative_l2"], *summary["baselines"].values()):
        assert {f"{error:.4g}" for error in errors.values()} <= set(cells)
    assert f"{summary['parameters']:,}" in page.texts["dd"]
    assert "6 to train on, 2 to test on" in page.texts["dd"]
    # Truth, prediction and error of two fields of the best and the worst case of two.
    pictures = [one["alt"] for one in page.attributes["img"] if "image/webp" in one["src"]]
    assert len(pictures) == 4
    assert [text.partition(":")[0] for text in page.texts["h3"][2:4]] == ["best", "worst"]
    shapes = json.loads(page.scripts[0][1])["cases"]
    assert [one["name"].partition(":")[0] for one in shapes] == ["best", "worst"]
    assert [view["name"] for view in shapes[0]["fields"][0]["views"]] == [
        "truth",
        "prediction",
        "error",
    ]
    charts = [text for text in page.texts["p"] if text.startswith("chart: ")]
    assert charts[:2] == ["chart: sorted errors of the test cases", "chart: learning curves"]
    assert len(charts) == 2 + 2 * 2 + 2 + 1  # errors of nodes, by distance, spectra


@pytest.mark.slow
def test_a_report_with_its_charts(run, tmp_path, read_page, lpbf_root):
    out = tmp_path / "r.html"
    assert write_report(run, out) == []
    page = read_page(out)
    charts = [one["alt"] for one in page.attributes["img"] if "image/svg+xml" in one["src"]]
    assert len(charts) == 9
    assert not any(text.startswith("No chart") for text in page.texts["p"])
    assert out.stat().st_size < 2e6
    first = out.read_bytes()
    write_report(run, out)  # an older report is replaced
    assert out.read_bytes() == first


def test_a_run_without_its_data(run, tmp_path, read_page, no_charts):
    change_config(run, root=str(tmp_path / "gone"))
    out = tmp_path / "r.html"
    (missing,) = write_report(run, out)
    assert missing.startswith("The data of the test cases cannot be read")
    assert str(tmp_path / "gone") in missing
    page = read_page(out)
    assert page.texts["h2"] == ["Errors on the test cases", "Training"]
    assert missing in page.text


def test_hostile_names_are_texts(run, tmp_path, read_page):
    name = "<script>alert(1)</script>$\\frac$"
    (run / "test_cases.csv").write_text(f'case,{name}\n"{name}",0.5\n')
    (run / "summary.json").write_text(json.dumps({"test_relative_l2": {name: 0.5}}))
    change_config(run, root=name, options={"units": {name: name}})
    write_report(run, tmp_path / "r.html")
    page = read_page(tmp_path / "r.html")
    assert not page.scripts
    assert page.texts["th"].count(name) == 3  # the field twice, the case once


def test_other_cases_in_the_folder_of_the_data(run, tmp_path, lpbf_root, no_charts, small_pictures):
    rows = (run / "test_cases.csv").read_text().replace("\n", "\nlost_", 1)
    (run / "test_cases.csv").write_text(rows)
    change_config(run, root="gone")
    out = tmp_path / "r.html"
    missing = write_report(run, out, data=lpbf_root)
    assert missing[0] == "1 test cases of the run are not in the data set any more."


def test_a_run_without_test_and_without_opengl(run, tmp_path, read_page, no_charts, monkeypatch):
    def refuse(*_, **__):
        raise ImportError("pictures without a screen need OpenGL")

    monkeypatch.setattr("flare_mesh.visualize.comparison.new_plotter", refuse)
    out = tmp_path / "r.html"
    (missing,) = write_report(run, out)
    assert missing == "There are no pictures of cases: pictures without a screen need OpenGL."
    page = read_page(out)
    assert "No pictures: pictures without a screen need OpenGL." in page.text
    assert "img" not in page.attributes
    assert "Look at the cases" in page.texts["h2"]  # needs no OpenGL here

    (run / "test_cases.csv").unlink()
    (run / "summary.json").write_text("{}")
    assert write_report(run, out) == ["The run has no test cases: there are no pictures of cases."]
    assert read_page(out).texts["h2"] == ["Training"]


def test_what_is_no_run(run, tmp_path, capsys):
    def message(source, out="r.html"):
        assert main(["report", str(source), "--out", str(tmp_path / out)]) == 2
        return capsys.readouterr().err

    assert "no such file or folder" in message(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    assert "empty: expected the folder of a run (got no config.yaml), or" in message(
        tmp_path / "empty"
    )
    assert "ends in .html" in message(run, "r.txt")
    (tmp_path / "mine.html").write_text("mine")
    assert "is not a report" in message(run, "mine.html")
    (run / "summary.json").unlink()
    assert "the run has not ended (no summary.json)" in message(run)
    assert not (tmp_path / "r.html").exists()
