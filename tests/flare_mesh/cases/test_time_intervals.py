import warnings
from pathlib import Path

import pytest

from flare_mesh.cases.time_intervals import first_unequal, warn_of_unequal_intervals
from flare_mesh.io import MeshFileWarning


@pytest.mark.parametrize(
    ("times", "resolution", "first"),
    [
        ([0.0], 0.0, None),
        ([0.0, 5.0], 0.0, None),
        ([0.0, 0.1, 0.2, 0.30000000000000004], 0.0, None),
        ([0.0, 0.1, 0.2, 0.5, 2.0], 0.0, 2),
        ([0.0, 1.0, 2.0, 4.0, 5.0], 0.0, 2),
        ([0.0, 2.0, 3.0, 4.0], 0.0, 0),
        # Thirds, rounded to two digits, and single precision.
        ([0.0, 0.33, 0.67, 1.0], 0.01, None),
        ([0.0, 0.33, 0.67, 1.0], 0.0, 1),
        ([0.1, 0.2, 0.4], 0.1, 1),
        ([1000.0, 1000.00098, 1000.00201], 0.0, None),
    ],
)
def test_the_first_unequal_interval(times, resolution, first):
    assert first_unequal(times, resolution) == first


def test_warnings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warn_of_unequal_intervals(Path("data"), [])
        warn_of_unequal_intervals(Path("data"), [("a", [0.0, 1.0], 0.0), ("b", [3.0, 4.0], 0.0)])
    series = [(f"s{number}", [0.0, 1.0, 3.0], 0.0) for number in range(8)]
    with pytest.warns(MeshFileWarning, match=r"^data: .*: 's0' \(1 to 3, .*'s4' .*, and 3 more; a"):
        warn_of_unequal_intervals(Path("data"), series)
