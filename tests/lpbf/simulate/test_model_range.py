import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from lpbf import PartWarning
from lpbf.simulate.model_range import check_range


def result(largest, clearance):
    """A part of 40 mm with one displaced node."""
    displacement = np.zeros((2, 3))
    displacement[1] = [0.6 * largest, 0.0, 0.8 * largest]
    points = np.array([[0.0, 0, 0], [40.0, 10, 20]])
    clearance = None if clearance is None else np.array(clearance)
    return SimpleNamespace(displacement=displacement, points=points, recoater_clearance=clearance)


@pytest.mark.parametrize("clearance", [None, [0.1, np.nan, 1.9]])
def test_within_the_range(clearance):
    with warnings.catch_warnings(action="error"):
        check_range(result(1.99, clearance), 2.0)


@pytest.mark.parametrize(
    ("largest", "clearance", "message"),
    [
        (2.5, None, "a displacement of 2.5 mm in a part of 40 mm; support the overhangs"),
        (1.0, [0.1, np.nan, 2.5], "layer 2 rises by 2.5 mm, more than its height of 2 mm"),
    ],
)
def test_out_of_the_range(largest, clearance, message):
    with pytest.warns(PartWarning, match=f"the small-strain model is out of its range: {message}"):
        check_range(result(largest, clearance), 2.0)
