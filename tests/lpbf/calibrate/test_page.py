"""The page docs/calibration.md."""

import re
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

import lpbf
from lpbf.calibrate import SPECIMENS, Measurement
from lpbf.calibrate.parameters import PARAMETERS

PAGE = (Path(__file__).parents[3] / "docs/calibration.md").read_text()


def first_column(header):
    rows = PAGE.split(header)[1].split("\n\n")[0].splitlines()[2:]
    return set(re.findall(r"`(\w+)`", " ".join(row.split("|")[1] for row in rows)))


def test_tables_are_complete():
    assert first_column("| specimen | release") == set(SPECIMENS)
    assert first_column("| `parameters` | unknowns") == set(PARAMETERS)
    entries = {field.name for field in fields(Measurement)} - {"source", "sha256"}
    assert first_column("| entry | content") == entries


@pytest.fixture
def measurement(tmp_path):
    (text,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "bridge.yaml").write_text(text)
    return tmp_path / "bridge.yaml"


def test_the_file_of_the_page_is_that_of_its_specimen(measurement):
    m = Measurement.from_yaml(measurement)
    points = [(point.position, point.component) for point in m.points]
    assert points == m.specimen.points()
    (cut,) = m.process.release
    assert [{"box": [list(corner) for corner in cut.box]}] == m.specimen.release


@pytest.mark.slow
def test_the_bridge_of_nist(measurement):
    calibration = lpbf.calibrate(measurement)
    (estimate,) = re.findall(r"^e +(\S+)", PAGE, re.MULTILINE)
    assert calibration.numbers[0] == pytest.approx(float(estimate), rel=1e-4)
    assert np.abs(calibration.residual).max() < 0.015
    assert calibration.chi_square == pytest.approx(37.57, abs=0.02)
