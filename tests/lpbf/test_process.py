import numpy as np
import pytest

from lpbf import Material, Process


def test_scan_rotation_turns_the_strain():
    process = Process(inherent_strain=(-0.004, -0.001, -0.002), scan_rotation=30.0)
    np.testing.assert_allclose(process.layer_strain(0), [-0.004, -0.001, -0.002, 0, 0, 0])
    np.testing.assert_allclose(
        process.layer_strain(3), [-0.001, -0.004, -0.002, 0, 0, 0], atol=1e-18
    )
    turned = process.layer_strain(1)
    assert turned[0] + turned[1] == pytest.approx(-0.005)
    assert turned[3] == pytest.approx(-0.003 * np.sin(np.deg2rad(60)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"material": "unobtainium"}, r"unknown material 'unobtainium'; choose from \['Ti-6Al-4V'"),
        ({"layer_height": 0.0}, "layer_height > 0 mm"),
        ({"inherent_strain": (-0.5, 0.0, 0.0)}, "each within 0.1 of zero"),
        ({"inherent_strain": (0.0, 0.0)}, "expected inherent_strain as"),
        ({"scan_rotation": float("nan")}, "finite scan_rotation"),
        ({"temperature": float("inf")}, "-273.15 <= temperature <= 3000 C"),
    ],
)
def test_bad_process(options, message):
    with pytest.raises(ValueError, match=message):
        Process(**options)


@pytest.mark.parametrize(("modulus", "ratio"), [(0.0, 0.3), (1e5, 0.5), (float("nan"), 0.3)])
def test_bad_material(modulus, ratio):
    with pytest.raises(ValueError, match="Material 'x': expected"):
        Material("x", youngs_modulus=modulus, poisson_ratio=ratio)
