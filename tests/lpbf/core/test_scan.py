import pytest

from lpbf.core.scan import SCANS, Scan, get_scan


def test_names_rotations_and_scans():
    assert get_scan("67") == get_scan(67) == Scan(rotation=67.0)
    assert get_scan("cross").rotation == 90.0
    own = Scan(rotation=30, angle=15)
    assert get_scan(own) is own
    assert list(SCANS) == ["unidirectional", "cross", "67", "stripes", "chessboard"]


def test_a_chessboard_has_the_mean_strain():
    strain = (-0.006, -0.002, -0.001)
    assert get_scan("chessboard").strain(strain) == (-0.004, -0.004, -0.001)
    assert get_scan("stripes").strain(strain) == strain


@pytest.mark.parametrize(
    ("scan", "message"),
    [
        ("stripe", "degrees per layer or a known scan, got 'stripe'; did you mean 'stripes'"),
        (float("nan"), "Scan: expected a finite rotation .got nan"),
        (None, "Scan: expected a finite rotation .got None"),
    ],
)
def test_bad_scan(scan, message):
    with pytest.raises(ValueError, match=message):
        get_scan(scan)


def test_bad_options():
    with pytest.raises(ValueError, match="Scan: expected mixed to be True or False"):
        Scan(mixed=1)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="Scan: expected a finite angle"):
        Scan(angle="x")  # pyright: ignore[reportArgumentType]
