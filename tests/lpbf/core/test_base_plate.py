import pytest

from lpbf.core.base_plate import BasePlate


def test_plain_floats():
    plate = BasePlate(thickness=25, margin=0, youngs_modulus=210_000)
    assert (plate.thickness, plate.margin, plate.youngs_modulus) == (25.0, 0.0, 210_000.0)
    assert type(plate.thickness) is float
    assert BasePlate().youngs_modulus is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"thickness": 0}, "0 < thickness <= 1000 mm .got 0."),
        ({"margin": -1.0}, "0 <= margin <= 1000 mm"),
        ({"margin": "10"}, "margin"),
        ({"youngs_modulus": 210e9}, r"0 < youngs_modulus <= 1e\+07 MPa"),
    ],
)
def test_bad_plate(options, message):
    with pytest.raises(ValueError, match=f"BasePlate: expected .*{message}"):
        BasePlate(**options)
