import warnings
from types import SimpleNamespace

import numpy as np
import pytest

from lpbf import MACHINES, Material, PartWarning, Process
from lpbf.simulate.model_range import check_range

METAL = Material("metal", 100_000.0, 0.3, yield_stress=500.0)


def result(largest, clearance=None, stress=(900.0,) * 9 + (1100.0,)):
    """A part of 40 mm with one displaced node."""
    displacement = np.zeros((2, 3))
    displacement[1] = [0.6 * largest, 0.0, 0.8 * largest]
    points = np.array([[0.0, 0, 0], [40.0, 10, 20]])
    return SimpleNamespace(
        displacement=displacement,
        points=points,
        recoater_clearance=None if clearance is None else np.array(clearance),
        von_mises=np.array(stress),
    )


@pytest.mark.parametrize("clearance", [None, [0.1, np.nan, 1.9]])
def test_within_the_range(clearance):
    with warnings.catch_warnings(action="error"):
        check_range(result(1.99, clearance, [999.0] * 10), Process(METAL), 2.0)
        check_range(result(1.99, clearance, [9e9]), Process(METAL, plasticity=True), 2.0)
        check_range(result(1.99, clearance, [9e9]), Process(Material("a", 1e5, 0.3)), 2.0)


@pytest.mark.parametrize(
    ("process", "found", "message"),
    [
        (
            {},
            (2.5,),
            "a displacement of 2.5 mm in a part of 40 mm is out of the range of the small",
        ),
        (
            {},
            (1.0, [0.1, np.nan, 2.5]),
            "layer 2 rises by 2.5 mm, more than a layer of 2 mm, so th",
        ),
        ({"powder_layers": 40}, (1.0, [0.06, 0.01]), "layer 0 rises by 0.06 mm, more than a layer"),
        ({"machine": min(MACHINES)}, (1.0, [0.2, 0.01]), "layer 0 rises by 0.2 mm, more than a"),
        (
            {},
            (1.0,),
            "the elastic von Mises stress exceeds 1100 MPa at a tenth of the nodes, over 2",
        ),
    ],
)
def test_out_of_the_range(process, found, message):
    stress = [900.0] * 9 + [1100.0 if message.startswith("the elastic") else 900.0]
    with pytest.warns(PartWarning) as told:
        check_range(result(*found, stress=stress), Process(METAL, **process), 2.0)
    (warning,) = told
    assert str(warning.message).startswith(message)


@pytest.mark.parametrize(
    ("strain", "advice"), [("thermal", "use plasticity"), ("inherent", "calibrated elastically")]
)
def test_thermal_strain_has_no_calibration(strain, advice):
    process = Process.preset("IN718", strain=strain, plasticity=False)
    with pytest.warns(PartWarning, match=f"yield stress of .* {advice}$"):
        check_range(result(1.0, stress=[9e3]), process, 2.0)
