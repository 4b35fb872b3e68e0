import json

import pytest

from lpbf.core.report import Report, StepReport


def report():
    steps = (StepReport("layer 0", 11, 2e-9, 0, 0.25), StepReport("layer 1", 7, 9.5e-9, 3, 1.5))
    return Report("multigrid", 2.0, 123_000_000, steps)


def test_sums():
    assert (report().iterations, report().newton_iterations, report().residual) == (18, 3, 9.5e-9)
    assert Report("direct", 0.1, 1).residual == 0.0


def test_table():
    assert [line.split()[-4:] for line in report().table().splitlines()] == [
        ["iterations", "residual", "Newton", "seconds"],
        ["11", "2.0e-09", "0", "0.25"],
        ["7", "9.5e-09", "3", "1.50"],
        ["18", "9.5e-09", "3", "2.00"],
    ]


def test_one_line():
    assert str(report()) == (
        "multigrid: 2 steps, 18 iterations, 3 Newton, residual 9.5e-09, 2.0 s, 123 MB"
    )
    assert "Newton" not in str(Report("direct", 0.1, 1))


def test_json():
    loaded = json.loads(json.dumps(report().to_dict()))
    assert loaded["solver"] == "multigrid"
    assert loaded["peak_memory"] == 123_000_000
    assert loaded["iterations"] == 18
    assert loaded["steps"][1] == {
        "name": "layer 1",
        "iterations": 7,
        "residual": 9.5e-9,
        "newton_iterations": 3,
        "seconds": 1.5,
    }


def test_reports_are_immutable():
    with pytest.raises(AttributeError):
        report().solver = "other"  # pyright: ignore[reportAttributeAccessIssue]
