import pytest

from flare_mesh.commands.predict import _speed


@pytest.mark.parametrize(
    ("seconds", "other", "expected"),
    [
        (0.1, 12.34, "123 times faster"),
        (0.2, 0.3, "1.5 times faster"),
        (0.2, 0.2, "1.0 times faster"),
        (0.2, 0.04, "5.0 times slower"),
        (3.0, 0.01, "300 times slower"),
    ],
)
def test_speed_of_a_prediction_beside_the_simulation(seconds, other, expected):
    assert _speed(seconds, other) == expected
