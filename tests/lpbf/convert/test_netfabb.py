import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from flare_mesh.datasets import LPBF
from lpbf.convert import convert_netfabb
from lpbf.convert.__main__ import main
from lpbf.convert.netfabb import _find


@pytest.fixture
def results(tmp_path, write_case, ensight, grown):
    for name in ("a", "b", "c", "d"):
        write_case(tmp_path / "in/SandBox" / name, name=f"{name}_")
    (tmp_path / "in/SandBox/a/results/a_thermal.case").write_text("of another analysis")
    log = tmp_path / "in/SandBox/b/b_mechanical.out"
    log.write_text("step 3\nAnalysis terminated\n")
    file = tmp_path / "in/SandBox/c/results/c_mechanical00_8.dis.ens"
    file.write_bytes(file.read_bytes()[:-4])
    file = tmp_path / "in/SandBox/d/results/d_mechanical00_8.dis.ens"
    file.write_bytes(ensight.variable(2 * grown.fields[-1][0]))
    return tmp_path / "in"


@pytest.mark.slow
def test_a_data_set(results, tmp_path, grown, capsys):
    out = tmp_path / "out"
    options = ["--test-fraction", "0", "--max-displacement-z", "0.05", "--workers", "1"]
    assert main(["netfabb", str(results), "--out", str(out), *options]) == 0
    assert "1 cases in" in capsys.readouterr().out
    lines = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert [line["case"] for line in lines] == ["SandBox_b", "SandBox_c", "SandBox_d"]
    assert "the analysis was terminated" in lines[0]["reason"]
    assert "its files cannot be read" in lines[1]["reason"]
    assert lines[2]["reason"] == "0.096 mm as the largest z displacement, over the limit of 0.05"

    (case,) = LPBF(out, targets=["displacement", "von_mises", "temperature"])
    mesh = grown.meshes[-1]
    assert case.case_id == "SandBox_a"
    assert_allclose(case.pos, mesh.points, atol=1e-6)
    assert_array_equal(case.hexahedron, mesh.cells)
    assert_array_equal(case.edge_index, mesh.edge_index)
    assert_allclose(case.displacement, 0.008 * mesh.points, atol=1e-6)
    assert_allclose(case.von_mises[:, 0], 800 + mesh.points[:, 0], rtol=1e-6)
    assert_allclose(case.temperature, 32.0)

    (entry,) = json.loads((out / "index.json").read_text())
    assert entry["file"] == "train/SandBox_a.npz"
    assert (entry["num_nodes"], entry["num_edges"]) == (60, mesh.edge_index.shape[1])
    with np.load(out / entry["file"], allow_pickle=False) as file:
        assert json.loads(str(file["_metadata"])) == entry["metadata"]
    assert entry["metadata"]["height_mm"] == 6.0
    assert entry["metadata"]["max_displacement_z_mm"] == pytest.approx(0.048)


def test_names(tmp_path):
    for path in (
        "flat_mechanical.case",
        "x/results/mechanical.case",
        "y/results/y_mechanical.case",
        "z/one_mechanical.case",
        "z/two_mechanical.case",
        "z/two_thermal.case",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    assert sorted(_find(tmp_path)) == ["flat", "x", "y", "z_one", "z_two"]
    assert list(_find(tmp_path / "x")) == ["x"]
    assert list(_find(tmp_path / "y/results")) == ["y"]
    (tmp_path / "x_results.case").touch()
    (tmp_path / "x/results.case").touch()
    with pytest.raises(ValueError, match=r"several results give the case names \['x_results'\]"):
        _find(tmp_path)


def test_bad_input(results, tmp_path, capsys):
    def run(*options, root=results, out=tmp_path / "out"):
        code = main(["netfabb", str(root), "--out", str(out), *options])
        return code, capsys.readouterr().err

    (tmp_path / "empty").mkdir()
    for got, message in (
        (run("--test-fraction", "1"), "expected 0 <= test_fraction < 1"),
        (run("--workers", "0"), "expected workers >= 1"),
        (run("--max-nodes", "0"), "expected max_nodes > 0"),
        (run(root=tmp_path / "none"), "no such folder"),
        (run(root=tmp_path / "empty"), "no results"),
        (run(out=results), "exists and is not an empty folder"),
        (run(out=results / "SandBox/b/b_mechanical.out/out"), "is a file, not a folder"),
    ):
        assert got[0] == 2
        assert message in got[1]
    assert not (tmp_path / "out").exists()
    with pytest.raises(ValueError, match="unknown plate"):
        convert_netfabb(results, tmp_path / "out", plate="cut")
