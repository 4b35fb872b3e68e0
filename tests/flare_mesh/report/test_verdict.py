from pathlib import Path

import pytest

from flare_mesh.report.verdict import verdict
from flare_mesh.training.run_results import RunResults


def results(errors, baselines):
    summary = {"test_relative_l2": errors, "baselines": baselines}
    return RunResults(Path("run"), {}, summary, [])


@pytest.mark.parametrize(
    ("errors", "baselines", "expected"),
    [
        (
            {"u": 0.1, "s": 0.3},
            {"ridge": {"u": 0.2, "s": 0.6}, "mean": {"u": 0.9}},
            "The model is better than every baseline: its mean relative L2 error on the test cases "
            "is 0.2, that of the best baseline, ridge, is 0.4, 2 times as large.",
        ),
        (
            {"u": 0.1, "s": 0.3},
            {"ridge": {"u": 0.9, "s": 0.2}},
            "The model is better than every baseline: its mean relative L2 error on the test cases "
            "is 0.2, that of the best baseline, ridge, is 0.55, 2.8 times as large. For s, ridge "
            "is better (0.2 against 0.3).",
        ),
        (
            {"u": 0.4, "s": 0.2},
            {"ridge": {"u": 0.1, "s": 0.3}},
            "The baseline ridge is better than the model: its mean relative L2 error on the test "
            "cases is 0.2, that of the model is 0.3. Train longer, take a larger learning rate, or "
            "give more inputs. For s, the model is better (0.2 against 0.3).",
        ),
        (
            {"u": 0.4},
            {},
            "The mean relative L2 error on the test cases is 0.4. The run was not compared with "
            "baselines.",
        ),
        ({}, {}, "The run has no test set: nothing is known about its errors on new cases."),
    ],
)
def test_who_wins(errors, baselines, expected):
    assert verdict(results(errors, baselines)) == expected
