import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf.core.table import Table, as_table

TABLE = Table([0, 100, 300], np.array([10.0, 20.0, 0.0]))


def test_linear_between_and_constant_outside():
    assert TABLE.temperature == (0.0, 100.0, 300.0)
    assert [TABLE(t) for t in (-50, 0, 25, 100, 200, 300, 1000)] == [10, 10, 12.5, 20, 10, 0, 0]
    assert isinstance(TABLE(25), float)
    np.testing.assert_allclose(TABLE(np.array([[50.0, 250.0]])), [[15.0, 5.0]])


def test_hashed_and_compared_by_value():
    assert Table((0, 100, 300), (10, 20, 0)) == TABLE
    assert len({TABLE, Table((0, 100, 300), (10, 20, 0))}) == 1


def test_a_number_is_a_table_of_one_row():
    table = as_table(7)
    assert table(-200.0) == table(900.0) == 7.0
    assert as_table(TABLE) is TABLE


@settings(max_examples=40)
@given(
    st.lists(st.integers(-273, 3000), min_size=1, max_size=8, unique=True).map(sorted),
    st.data(),
)
def test_stays_within_its_values(temperature, data):
    value = data.draw(
        st.lists(st.floats(-1e3, 1e3), min_size=len(temperature), max_size=len(temperature))
    )
    table = Table(temperature, value)
    np.testing.assert_allclose(table(np.array(temperature, dtype=float)), value)
    for t in data.draw(st.lists(st.floats(-500, 4000), max_size=5)):
        assert min(value) - 1e-9 <= table(t) <= max(value) + 1e-9


@pytest.mark.parametrize(
    ("temperature", "value", "message"),
    [
        ([], [], "at least one"),
        ([0, 1], [1], "2 temperatures and 1 values"),
        ([0, 0], [1, 2], "strictly increasing .* .got 0 C after 0 C"),
        ([100, 0], [1, 2], "strictly increasing .* .got 0 C after 100 C"),
        ([0, float("nan")], [1, 2], "a finite temperature .got nan"),
        ([0, 1], [1, float("inf")], "a finite value .got inf"),
        ([0, 1], [1, "2"], "a finite value .got '2'"),
        ([-300, 1], [1, 2], "> -273.15 C"),
        (20.0, 1.0, "temperature as a list"),
    ],
)
def test_bad_table(temperature, value, message):
    with pytest.raises(ValueError, match=f"Table: expected .*{message}"):
        Table(temperature, value)
