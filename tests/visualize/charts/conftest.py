import json

import pytest
from matplotlib.figure import Figure


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture
def texts():
    """Function that gives all texts in axes, in one."""
    return lambda ax: "\n".join(text.get_text() for text in ax.texts)


@pytest.fixture
def run(tmp_path):
    """Folder of a run with two fields, three epochs and four test cases."""
    (tmp_path / "config.yaml").write_text("model: {loss: {name: relative_l2}}\n")
    summary = {
        "test_relative_l2": {"u": 0.2, "s$1$": 0.4},
        "baselines": {"ridge": {"u": 0.5, "s$1$": 0.6}, "training_mean": {"u": 0.9, "s$1$": 0.3}},
        "bands": {
            "coverage": 0.9,
            "covered": {"u": 0.92, "s$1$": 0.8},
            "covered_error": {"u": 0.01, "s$1$": None},
            "likely": {"u": [0.85, 0.95], "s$1$": None},
        },
    }
    (tmp_path / "summary.json").write_text(json.dumps(summary))
    rows = ["step,train_loss,val_relative_l2,val_relative_l2_u,val_relative_l2_s$1$"]
    rows += ["5,0.8,0.9,0.7,1.1", "10,0.4,,,", "15,0.2,0.5,0.4,0.6"]
    (tmp_path / "metrics.csv").write_text("\n".join(rows) + "\n")
    cases = ["case,u,s$1$", "a,0.4,0.5", "b,0.1,0.3", "c,0.2,nan", "d,0.1,0.4"]
    (tmp_path / "test_cases.csv").write_text("\n".join(cases) + "\n")
    return tmp_path
