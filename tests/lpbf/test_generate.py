import json

import numpy as np
import pytest

from lpbf.core.process import Process
from lpbf.dataset.settings import read_settings
from lpbf.generate import main


@pytest.fixture
def data_set(tmp_path, small_set):
    """A folder that holds a data set, as far as the command looks before the work."""
    out = tmp_path / "set"
    out.mkdir()
    (out / "settings.json").write_text(json.dumps(small_set.to_dict()))
    return out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--num-parts", "0"], "expected --num-parts > 0, or --parts (got 0)"),
        (["--parts", "nowhere"], "nowhere: no such folder"),
        (["--pitch", "-1"], "expected the pitch as one or three lengths > 0 mm (got -1.0)"),
        (["--pitch", "inf"], "expected the pitch as one or three lengths > 0 mm (got inf)"),
        (
            ["--pitch", "50,50,50"],
            "a pitch of 50 mm leaves parts of 24 mm without voxels; use at most",
        ),
        (
            ["--pitch", "0.01,0.01,0.01"],
            "up to 1.25e+11 voxels, over the limit of 4,000,000; use a coarser",
        ),
        (["--size", "16", "inf"], "0 < low <= high mm"),
        (["--size", "9", "3"], "0 < low <= high"),
        (["--workers", "0"], "expected --workers >= 1 (got 0)"),
        (["--material", "wood"], "unknown material 'wood'"),
        (["--test-fraction", "1"], "0 <= test_fraction < 1"),
        (["--max-dropped", "2"], "expected 0 <= max_dropped <= 1 (got 2.0)"),
        (["--supports", "a.stl"], "--supports: expected auto for a data set (got a.stl)"),
        (["--supports", "auto", "--islands", "drop"], "expected islands or generated supports"),
        (["--build-volume", "1", "2", "-3"], "expected the build volume as one or three lengths"),
    ],
)
def test_bad_input_exits_2_and_writes_nothing(tmp_path, monkeypatch, capsys, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert main(["--out", "set", *arguments]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_nothing_accepted(tmp_path, capsys, inline):
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "a.stl").touch()
    out = tmp_path / "set"
    arguments = ["--out", str(out), "--parts", str(tmp_path / "parts")]  # and no others
    assert main(arguments) == 2
    assert "every part was rejected, the first because: " in capsys.readouterr().err


def test_damaged_settings(tmp_path, capsys):
    for content in ("{", "[1]"):
        (tmp_path / "settings.json").write_text(content)
        assert main(["--out", str(tmp_path), "--resume"]) == 2
        assert "settings.json: damaged" in capsys.readouterr().err


def test_a_folder_in_use(data_set, tmp_path, capsys, files_of):
    before = files_of(data_set)
    assert main(["--out", str(data_set)]) == 2
    assert "holds a data set; add --resume" in capsys.readouterr().err
    assert main(["--out", str(data_set), "--resume", "--pitch", "1.5"]) == 2
    assert "begun with other settings (" in capsys.readouterr().err
    assert files_of(data_set) == before
    (tmp_path / "notes.txt").write_text("mine")
    assert main(["--out", str(tmp_path)]) == 2
    assert "not an empty folder" in capsys.readouterr().err
    assert files_of(tmp_path) == ["notes.txt", "set/settings.json"]


def test_a_set_of_another_process_is_not_resumed(data_set, capsys, command):
    assert main(command(data_set, "--num-parts", "8", "--resume", "--release")) == 2
    expected = "other settings (process.release = False, now True); use the same ones"
    assert expected in capsys.readouterr().err


def test_a_set_of_an_older_version_is_resumed_with_its_settings(data_set, capsys, command):
    file = data_set / "settings.json"
    older = json.loads(file.read_text())
    del older["aligned"], older["max_volume_error"], older["process"]["strain"]
    older["pitch"], older["process"]["layer_height"] = 4.0, None
    file.write_text(json.dumps(older))
    arguments = command(data_set, "--num-parts", "1", "--resume")
    assert main(arguments) == 2
    assert "(aligned = False, now True, max_volume_error = inf, now 9.0); use the same ones" in (
        capsys.readouterr().err
    )
    # Only the seed differs now; a run would take longer.
    options = "--no-aligned --max-volume-error inf --seed 1"
    assert main([*arguments, *options.split()]) == 2
    assert "(seed = 0, now 1); use the same ones" in capsys.readouterr().err


def test_process_from_a_file_and_from_options(tmp_path, inline, command):
    file = tmp_path / "process.yaml"
    Process(scan_rotation=67.0, temperature=30.0, release=True).to_yaml(file)
    options = ("--num-parts", "1", "--process", str(file), "--scan-rotation", "90", "--no-release")
    assert main(command(tmp_path / "set", *options)) == 0
    found = Process.from_dict(read_settings(tmp_path / "set")["process"])
    assert found == Process(layer_height=4.0, scan_rotation=90.0, temperature=30.0, islands="drop")
    with np.load(tmp_path / "set/train/part_000000.npz") as case:
        assert (case["temp"] == 30.0).all()


def test_islands_in_powder_by_option_and_by_file(tmp_path, inline, command):
    file = tmp_path / "process.yaml"
    Process(islands="powder").to_yaml(file)
    sets = {"option": ("--islands", "powder"), "file": ("--process", str(file)), "neither": ()}
    found = {}
    for name, options in sets.items():
        assert main(command(tmp_path / name, "--num-parts", "1", *options)) == 0
        settings = read_settings(tmp_path / name)
        found[name] = settings["islands"], settings["process"]["islands"]
    assert found == {
        "option": ("powder", "powder"),
        "file": ("powder", "powder"),
        "neither": ("drop", "drop"),
    }


def test_orientations_scales_and_three_edges_of_a_voxel(tmp_path, inline, capsys, command):
    options = ("--num-parts", "2", "--orientations", "2", "--scale", "0.9", "1.1")
    assert main(command(tmp_path / "set", *options, "--pitch", "4,4,2")) == 0
    printed = capsys.readouterr().out
    entries = json.loads((tmp_path / "set/index.json").read_text())
    assert printed.startswith(f"{len(entries)} cases in {tmp_path / 'set'}, ")
    parts = ["part_000000", "part_000000_rotated_01", "part_000001", "part_000001_rotated_01"]
    assert [entry["case_id"] for entry in entries] == parts
    assert {tuple(entry["metadata"]["pitch_mm"]) for entry in entries} == {(4.0, 4.0, 2.0)}
    assert entries[0]["metadata"]["rotation"] != entries[1]["metadata"]["rotation"]


def test_rejections_are_counted(tmp_path, inline, capsys, command):
    options = ("--num-parts", "3", "--min-nodes", "150", "--max-nodes", "250")
    assert main(command(tmp_path / "set", *options)) == 0
    count = len((tmp_path / "set/rejected.jsonl").read_text().splitlines())
    assert f"{count} parts rejected ({count} nodes): " in capsys.readouterr().out


def test_local_workers_and_a_cluster_exclude_each_other(tmp_path, capsys, command):
    options = ("--workers", "2", "--scheduler", "tcp://127.0.0.1:9")
    assert main(command(tmp_path / "set", *options)) == 2
    assert "expected --workers or --scheduler (got both)" in capsys.readouterr().err
