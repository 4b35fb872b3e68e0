"""``flare-mesh init`` as a user types it."""

import csv
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from flare_mesh import MeshData
from flare_mesh.cli import main
from flare_mesh.commands.init_dataset import feature_sizes
from flare_mesh.commands.train import FieldCLI
from flare_mesh.data.transforms import ShrinkageFeatures
from flare_mesh.datasets import LPBF, MeshFolder
from flare_mesh.io import write_mesh


def plate(load, thickness, width):
    """A plate of 30 nodes whose stress is proportional to the load."""
    grid = torch.cartesian_prod(torch.linspace(0, width, 6), torch.linspace(0, 8, 5))
    number = torch.arange(30).view(6, 5)
    corners = number[:-1, :-1], number[1:, :-1], number[1:, 1:], number[:-1, 1:]
    quad = torch.stack([corner.reshape(-1) for corner in corners], dim=1)
    pos = torch.cat([grid, torch.zeros(30, 1)], dim=1)
    data = MeshData(pos, quad=quad, units={"stress": "MPa"})
    data.stress = load / thickness**1.5 * (1 + pos[:, :1] * (pos[:, 1:2] - 4) ** 2)
    data.shift = pos * load
    data.cell_material = torch.arange(20.0)
    return data


@pytest.fixture(scope="module")
def plates(tmp_path_factory):
    """Plates whose load is in their names, and whose thickness is in a table."""
    folder = tmp_path_factory.mktemp("plates")
    draw = np.random.default_rng(0)
    rows = [["case", "thickness", "modulus", "max_stress", "alloy", "run"]]
    for number in range(12):
        load, thickness = round(draw.uniform(1, 10), 2), [1.0, 1.5, 3.0][number * 5 % 3]
        data = plate(load, thickness, draw.uniform(10, 20))
        name = f"plate_{number:03d}_load{load}"
        write_mesh(folder / "results" / f"{name}.vtu", data)
        rows.append([name, thickness, 210, f"{float(data.stress.max()):.7g}", "steel", number])
    with (folder / "results/runs.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)
    return folder


@pytest.fixture
def folder(plates, tmp_path, monkeypatch):
    """The current folder, with a link to the plates."""
    (tmp_path / "results").symlink_to(plates / "results")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*args):
    return main(["init", "results", *args])


def test_configuration_of_a_folder(folder, capsys):
    assert init("--targets", "stress,shift", "--inputs", "material") == 0
    printed = capsys.readouterr().out
    assert "results: 12 cases (12 .vtu)\n" in printed
    assert "meshes: 30 nodes; quad; kind: plane; each case has its own mesh" in printed
    assert "10 to train on (3 of these held out to calibrate bands), 2 to test on" in printed
    assert "inputs: load, thickness, material" in printed
    assert "scales: stress / load / power_law, shift / load / power_law" in printed
    assert "train by: flare-mesh fit --config fit.yaml" in printed
    text = (folder / "fit.yaml").read_text()
    assert str(folder) not in text
    comments = " ".join(text.replace("#", "").split())
    for left_out in (
        "modulus (the table): 210 in all cases",
        "max_stress (the table): equal to the largest value of stress",
        "run (the table): only counts the cases",
        "column 'alloy': no numbers",
        "'plate' in the file names, which only counts the files",
    ):
        assert left_out in comments
    values = yaml.safe_load(text)
    assert values["budget"] == "5m"
    assert values["model"] == {
        "name": "flare",
        "size": "auto",
        "scale_by": {"stress": ["load", "power_law"], "shift": ["load", "power_law"]},
        "optimizer": {"name": "muon", "lr": 1e-2, "weight_decay": 1e-1},
        "schedule": {"name": "cosine", "pct_start": 0.05},
    }
    data = values["data"]
    assert data["features"] == [{"geometry_features": {"kind": "plane"}}]
    assert (data["val_split"], data["in_memory"]) == (0.33, True)
    assert data["options"]["units"] == {"stress": "MPa"}
    # The data set can be read by it, with the numbers of the names and the table.
    case = MeshFolder(data["root"], **data["options"])[0]
    load = float(case.case_id.partition("load")[2])
    assert case.x.shape == (30, 3)
    assert torch.equal(case.x[:, 0], torch.full((30,), load))
    assert case.weight.shape == (30,)


def test_the_configuration_is_accepted_by_fit(folder, capsys):
    assert init("--targets", "stress") == 0
    capsys.readouterr()
    with pytest.raises(SystemExit):
        FieldCLI(["fit", "--config", "fit.yaml", "--print_config"])
    printed = yaml.safe_load(capsys.readouterr().out)
    assert printed["model"]["scale_by"] == {"stress": ["load", "power_law"]}
    assert printed["data"]["sample_nodes"] == "auto"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--targets", "stres"], "'stres': no such field in results; did you mean 'stress'?"),
        (["--targets", "stress", "--out", "fit.txt"], "a file name that ends in .yaml"),
        (["--targets", "stress", "--out", "results/runs.csv/a.yaml"], "is a file, not a folder"),
        (["--targets", "stress", "--series", "1"], "results: no time series"),
        (["--targets", "stress", "--data", "darci"], "did you mean 'darcy'?"),
        (["--targets", "stress", "--data", "darcy", "--series", "1"], "series: only for a folder"),
    ],
)
def test_bad_input_is_one_line(folder, capsys, args, message):
    assert init(*args) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (folder / "fit.yaml").exists()


def test_few_cases_and_gaps_in_the_table(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        write_mesh(tmp_path / "results" / f"{number}.vtu", plate(1.0 + number, 1.0, 10.0))
    table = tmp_path / "runs.csv"
    table.write_text("case,load\n0,1\n1,2\n2,3\n")
    assert init("--targets", "stress") == 2
    assert "no row for 1 of the 4 cases, such as '3'" in capsys.readouterr().err
    table.write_text("case,load,stress\n0,1,low\n1,2,low\n2,3,low\n3,4.5,high\n")
    assert init("--targets", "stress") == 2
    assert "the column 'stress' has the name of a field" in capsys.readouterr().err
    table.write_text("case,load\n0,1\n1,2\n2,3\n3,4.5\n")
    assert init("--targets", "stress") == 0
    printed = capsys.readouterr().out
    assert "the same mesh in all cases" in printed
    assert "3 cases to train on are too few to hold some out" in printed
    data = yaml.safe_load((tmp_path / "fit.yaml").read_text())["data"]
    assert "val_split" not in data
    assert data["options"]["table"] == "../runs.csv"
    # The file may have been changed.
    assert init("--targets", "stress", "--budget", "90s") == 2
    assert "fit.yaml: exists already" in capsys.readouterr().err
    assert init("--targets", "stress", "--budget", "90s", "--overwrite") == 0
    assert yaml.safe_load((tmp_path / "fit.yaml").read_text())["budget"] == "90s"
    for number in (2, 3):
        (tmp_path / "results" / f"{number}.vtu").unlink()
    assert init("--targets", "stress", "--overwrite") == 2
    assert "expected at least 3 cases" in capsys.readouterr().err


def test_a_fixed_mesh_needs_an_input_that_differs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        data = plate(1.0 + number, 1.0, 10.0)
        data.tag = torch.where(data.pos[:, :1] > number, 3.0, 12.0)
        write_mesh(tmp_path / "results" / f"{number}.vtu", data)
    assert init("--targets", "stress") == 2
    assert "by --inputs, and no results: choose from tag (2 different values), shift\n" in (
        capsys.readouterr().err
    )
    assert not (tmp_path / "fit.yaml").exists()
    assert init("--targets", "stress", "--inputs", "tag") == 0
    assert "results must not be inputs: shift; take" in capsys.readouterr().out


def test_time_steps(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for number in range(4):
        entries = []
        for step in range(3):
            data = plate(1.0 + number + step, 1.0, 10.0)
            data.load = torch.tensor([[number + 0.5]])
            write_mesh(tmp_path / f"results/steps/r{number}s{step}.vtu", data)
            entries.append(f'<DataSet timestep="{step}" file="steps/r{number}s{step}.vtu"/>')
        text = f"<VTKFile><Collection>{''.join(entries)}</Collection></VTKFile>"
        (tmp_path / f"results/run{number}.pvd").write_text(text)
    assert init("--targets", "stress") == 0
    assert "several time steps, of which this takes the last" in (tmp_path / "fit.yaml").read_text()
    data = yaml.safe_load((tmp_path / "fit.yaml").read_text())["data"]
    assert MeshFolder(data["root"], None, **data["options"]).cases == [
        "run0",
        "run1",
        "run2",
        "run3",
    ]
    assert init("--targets", "stress", "--series", "1", "--overwrite") == 0
    values = yaml.safe_load((tmp_path / "fit.yaml").read_text())
    assert values["model"]["rollout"]["feedback"] == "prediction"
    assert "scale_by" not in values["model"]
    series = MeshFolder("results", None, **values["data"]["options"])
    assert len(series) == 8  # two windows of each series
    assert series.input_channels == {"load_in": 1, "stress_in": 1}
    assert series.target_channels == {"stress_out": 1}
    assert init("--targets", "stress", "--series", "3", "--overwrite") == 2
    assert "--series 3 needs 4 steps (got 3 in some series)" in capsys.readouterr().err


def test_data_set_by_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    pos = draw.random((7, 3))
    for number in range(20):
        case = tmp_path / "clouds" / f"c{number}"
        case.mkdir(parents=True)
        load = draw.uniform(1, 10)
        for name, values in (("pos", pos), ("u", load * pos), ("load", np.array([load]))):
            np.save(case / f"{name}.npy", values)
    command = ["init", "clouds", "--data", "point_folder", "--targets", "u", "--inputs", "load"]
    assert main([*command, "--options", '{"fractions": {"train": 0.7, "test": 0.3}}']) == 0
    printed = capsys.readouterr().out
    assert "point_folder in clouds: 20 cases; 14 were read" in printed
    assert "kind: points; the same mesh in all cases" in printed
    assert "scales: u / load\n" in printed
    values = yaml.safe_load((tmp_path / "fit.yaml").read_text())
    assert values["model"]["scale_by"] == {"u": "load"}
    assert values["data"] == {
        "name": "point_folder",
        "root": "clouds",
        "options": {
            "fractions": {"train": 0.7, "test": 0.3},
            "inputs": ["load"],
            "targets": ["u"],
        },
        "features": [{"geometry_features": {"kind": "points"}}],
        "sample_nodes": "auto",
        "batch_size": "auto",
        "in_memory": True,
        "val_split": 0.33,  # a third of the 14 cases to train on
    }


def test_symmetries_of_a_data_set(lpbf_root, tmp_path, monkeypatch, capsys):
    """Its cases are trained with them, and predictions averaged, with the columns of its fields."""
    monkeypatch.chdir(tmp_path)
    args = ["init", str(lpbf_root), "--data", "lpbf", "--targets", "von_mises,displacement"]
    assert main([*args, "--inputs", "displacement", "--out", "fit.yaml"]) == 0
    text = Path("fit.yaml").read_text()
    assert "The inherent strain is equal in x and y in all 6 training cases" in text
    values = yaml.safe_load(text)
    assert values["model"]["average_symmetries"] is True
    (augment,) = values["data"]["augment"]
    assert augment["random_square_symmetry"] == {
        "vectors": {"pos": [0], "x": [0, 6, 10, 17, 21, 24, 29, 37, 42, 49, 56], "y": [1]},
        "sizes": {"x": [3, 8, 12, 32, 45, 52, 59]},
    }


def test_sizes_of_the_cases_among_the_features(lpbf_root):
    cases = LPBF(lpbf_root)
    (found,) = feature_sizes(cases).items()
    assert found[0] == "size of the shrinkage"
    expected = [ShrinkageFeatures()(cases.get(i)).x[0, -1].exp() for i in range(len(cases))]
    np.testing.assert_allclose(found[1], expected, rtol=1e-6)
