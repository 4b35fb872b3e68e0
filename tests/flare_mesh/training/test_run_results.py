import json

import pytest

from flare_mesh.training.run_results import RunResults


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "config.yaml").write_text("data: {options: {units: {u: mm}}}\n")
    summary = {
        "test_relative_l2": {"u": 0.1, "s": 0.3},
        "baselines": {"training_mean": {"u": 0.5, "s": float("nan")}, "ridge": {"u": "bad"}},
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    (tmp_path / "metrics.csv").write_text("epoch,step,val\n0,4,\n1,8,0.5\n")
    (tmp_path / "test_cases.csv").write_text("case,u,s\nbad,0.5,0.7\n'good, $1',0.1,nan\n")
    text = 'case,u,s\nbad,0.5,0.7\n"good, $1",0.1,nan\nworst,,\n'
    (tmp_path / "test_cases.csv").write_text(text.replace("worst,,", "worst,0.8,0.8"))
    return tmp_path


def test_what_a_run_has(folder):
    results = RunResults.read(folder)
    assert results.errors == {"u": 0.1, "s": 0.3}
    # What is not a finite number is left out.
    assert results.baselines == {"training_mean": {"u": 0.5}}
    assert results.epochs == [{"epoch": 0.0, "step": 4.0}, {"epoch": 1.0, "step": 8.0, "val": 0.5}]
    means = results.case_means()
    assert [*means] == ["good, $1", "bad", "worst"]
    assert [*means.values()] == pytest.approx([0.1, 0.6, 0.8])
    assert results.units() == {"u": "mm"}
    assert results.bands is None
    assert results.splits == results.environment == {}


def test_what_is_no_run_or_damaged(folder, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"expected the folder of a run \(got no config"):
        RunResults.read(tmp_path / "nowhere")
    for name, text, message in (
        ("config.yaml", "- 1", r"config\.yaml: damaged \(not a mapping"),
        ("config.yaml", "a: !!python/object:x 1", r"config\.yaml: damaged"),
        ("summary.json", "[]", r"summary\.json: damaged \(not a JSON object\)"),
        ("metrics.csv", "epoch,step\n1\n", r"metrics\.csv: damaged \(row 2 has another number"),
        ("metrics.csv", "epoch,step\n1,x\n", r"'step' is 'x', not a number"),
        ("test_cases.csv", "case,u\na,b,c\n", r"test_cases\.csv: damaged \(row 2"),
    ):
        kept = (folder / name).read_text()
        (folder / name).write_text(text)
        with pytest.raises(ValueError, match=message):
            RunResults.read(folder)
        (folder / name).write_text(kept)
    (folder / "summary.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has not ended \(no summary\.json\); train it"):
        RunResults.read(folder)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "last.ckpt").touch()
    with pytest.raises(FileNotFoundError, match="continue it by 'flare-mesh fit --resume"):
        RunResults.read(folder)
