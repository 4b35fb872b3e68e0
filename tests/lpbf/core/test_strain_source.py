from dataclasses import replace

import pytest

from lpbf import Process
from lpbf.core.strain_source import StrainSource

STRAIN = (-0.0031, -0.001 / 3, -0.002)
SOURCE = StrainSource(
    measurement="cantilever.yaml",
    sha256="0123456789abcdef" * 4,
    num_values=9,
    inherent_strain=STRAIN,
    intervals=((-0.0032, -0.003), (-0.0005, -0.0001), None),
    reduced_chi_square=0.8,
    material="316L",
    plasticity=False,
    pitch=(1.0, 1.0, 0.5),
    layer_height=0.5,
)


@pytest.fixture
def calibrated():
    return Process("316L", inherent_strain=STRAIN, strain_source=SOURCE)


def test_survives_files(tmp_path, calibrated):
    calibrated.to_yaml(tmp_path / "process.yaml")
    assert Process.from_yaml(tmp_path / "process.yaml") == calibrated
    assert Process.from_dict(calibrated.to_dict()) == calibrated


def test_in_one_line():
    assert str(SOURCE) == "calibrated on cantilever.yaml (9 values, sha256 0123456789ab)"
    assert str(replace(SOURCE, sha256=None)) == "calibrated on cantilever.yaml (9 values)"


def test_belongs_to_its_strain(calibrated):
    with pytest.raises(ValueError, match="leave out strain_source for a strain of your own"):
        replace(calibrated, inherent_strain=(-0.003, -0.003, -0.003))
    rotated = calibrated.with_scan("67")
    assert rotated.strain_source == SOURCE
    # The mean of both directions is another strain.
    assert calibrated.with_scan("chessboard").strain_source is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"measurement": "a\nb"}, "expected measurement as a line of text"),
        ({"sha256": "xyz"}, "expected sha256 as 64 hexadecimal digits"),
        ({"num_values": 0}, "expected a whole number 1 <= num_values"),
        ({"intervals": (None, None)}, "expected three intervals"),
        ({"intervals": ((1.0,), None, None)}, "expected an interval as 2 numbers"),
        ({"pitch": 1.0}, "expected pitch as 3 numbers"),
        ({"inherent_strain": (-1.0, 0.0, 0.0)}, "expected inherent_strain >= -0.1"),
        ({"plasticity": "no"}, "expected plasticity to be True or False"),
        ({"layer_height": 0.0}, "expected layer_height > 0 mm"),
    ],
)
def test_bad_values(changes, message):
    with pytest.raises(ValueError, match=message):
        replace(SOURCE, **changes)
