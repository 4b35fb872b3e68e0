import math

import numpy as np
import pytest

from lpbf.core.checks import check_bool, check_number


@pytest.mark.parametrize("value", [0, 2, 1.5, np.float32(1.5), np.int64(2)])
def test_numbers_become_floats(value):
    found = check_number("X", "size", value, 0, 2)
    assert type(found) is float
    assert found == value


@pytest.mark.parametrize(
    ("value", "limits", "message"),
    [
        (-1, (0, 2), "X: expected 0 <= size <= 2 mm .got -1."),
        (3, (-math.inf, 2), "X: expected size <= 2 mm .got 3."),
        (-1, (0,), "X: expected size >= 0 mm"),
        (math.inf, (0,), "X: expected size >= 0 mm .got inf."),
        (math.nan, (), "X: expected a finite size mm .got nan."),
        (None, (), "finite size mm .got None."),
        ("1", (), "finite size mm .got '1'."),
        (True, (), "finite size mm .got True."),
        (1j, (), "finite size mm .got 1j."),
        (np.ones(1), (), "finite size mm .got array"),
        (10**400, (), "finite size"),
    ],
)
def test_bad_numbers(value, limits, message):
    with pytest.raises(ValueError, match=message):
        check_number("X", "size", value, *limits, unit="mm")


def test_an_excluded_least_value():
    assert check_number("X", "size", 1e-300, 0, above=True) == 1e-300
    with pytest.raises(ValueError, match="X: expected size > 0 .got 0."):
        check_number("X", "size", 0, 0, above=True)
    with pytest.raises(ValueError, match="X: expected 0 < size <= 1 .got 0."):
        check_number("X", "size", 0, 0, 1, above=True)


def test_bool():
    assert check_bool("X", "on", False) is False
    with pytest.raises(ValueError, match="X: expected on to be True or False .got 1."):
        check_bool("X", "on", 1)
