import numpy as np
import pytest

from lpbf.core.material import Material
from lpbf.core.materials import MATERIALS, get_material
from lpbf.core.table import Table

ELASTIC = {"youngs_modulus": 1e5, "poisson_ratio": 0.3}


def test_elasticity_of_a_bar_and_of_shear():
    material = Material("x", **ELASTIC)
    compliance = np.linalg.inv(material.elasticity)
    np.testing.assert_allclose(compliance[0, :3], [1e-5, -0.3e-5, -0.3e-5])
    np.testing.assert_allclose(compliance[3, 3], 2 * 1.3e-5)


def test_elasticity_over_temperature():
    material = Material("x", Table((25, 425), (1e5, 0.6e5)), 0.3)
    assert material.youngs_modulus_at(125.0) == pytest.approx(0.9e5)
    assert np.linalg.inv(material.elasticity)[0, 0] == pytest.approx(1e-5)
    assert np.linalg.inv(material.elasticity_at(900.0))[0, 0] == pytest.approx(1 / 0.6e5)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, None),
        ({"annealing_temperature": 690.0}, 690.0),
        ({"solidus": 1400.0, "liquidus": 1450.0}, 1400.0),
        ({"solidus": 1400.0, "liquidus": 1450.0, "annealing_temperature": 690.0}, 690.0),
        ({"solidus": 1400.0, "liquidus": 1450.0, "annealing_temperature": 1500.0}, 1400.0),
    ],
)
def test_stress_free_temperature(given, expected):
    assert Material("x", **ELASTIC, **given).stress_free_temperature == expected


def test_values_are_plain_floats():
    material = Material("x", np.float32(2), 0, yield_stress=np.int64(7), sources="me")
    assert (material.youngs_modulus, material.yield_stress) == (2.0, 7.0)
    assert type(material.youngs_modulus) is type(material.yield_stress) is float
    assert material.sources == ("me",)
    assert hash(material) == hash(Material("x", 2, 0.0, yield_stress=7, sources=("me",)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"youngs_modulus": 0.0}, r"0 < youngs_modulus <= 1e\+07 MPa .got 0.0"),
        ({"youngs_modulus": 113.8e9}, "youngs_modulus"),
        ({"youngs_modulus": float("nan")}, "youngs_modulus"),
        ({"youngs_modulus": None}, "youngs_modulus"),
        ({"density": Table((0,), (8000,))}, "density as one number .got a Table.; tables are for"),
        ({"youngs_modulus": Table((0, 900), (1e5, 0))}, r"0 < youngs_modulus <= .* MPa .got 0.0"),
        ({"hardening_modulus": Table((0,), (9,))}, "a yield_stress with the hardening"),
        ({"thermal_expansion": Table((0, 1), (1e-5, 10))}, "thermal_expansion <= 0.001 1/K"),
        ({"youngs_modulus": True}, "youngs_modulus"),
        ({"poisson_ratio": 0.5}, "-1 < poisson_ratio < 0.5"),
        ({"poisson_ratio": -1.0}, "-1 < poisson_ratio < 0.5"),
        ({"poisson_ratio": "0.3"}, "finite poisson_ratio"),
        ({"poisson_ratio": Table((25, 900), (0.3, 0.35))}, "as one number .got a table.; give"),
        ({"yield_stress": 0.0}, "0 < yield_stress"),
        ({"yield_stress": 880e6}, "yield_stress"),
        ({"yield_stress": Table((0, 100), (5, -1))}, "yield_stress .* MPa .got -1.0"),
        ({"yield_stress": 5, "hardening_modulus": -1}, "0 <= hardening_modulus"),
        ({"hardening_modulus": 100}, "a yield_stress with the hardening"),
        ({"yield_stress": 5, "saturation_stress": 5}, "both positive, or both 0"),
        ({"yield_stress": 5, "saturation_rate": 5}, "both positive, or both 0"),
        ({"thermal_expansion": 8.6}, "thermal_expansion <= 0.001 1/K"),
        ({"density": 4.43}, r"30 <= density <= 30000 kg/m\^3"),
        ({"conductivity": -1}, "0 < conductivity"),
        ({"specific_heat": 0.5}, "10 <= specific_heat"),
        ({"solidus": 1600}, "both solidus and liquidus, or neither"),
        ({"solidus": 1600, "liquidus": 1500}, "liquidus >= solidus"),
        ({"annealing_temperature": -300}, "-273.15 < annealing_temperature <= 5000 C"),
        ({"latent_heat": 1e5}, "solidus and liquidus with the latent_heat"),
        ({"sources": 1}, "sources as a list of strings .got 1"),
        ({"sources": (1,)}, "sources as a list of strings"),
    ],
)
def test_bad_material(options, message):
    with pytest.raises(ValueError, match=f"Material 'x': expected .*{message}"):
        Material("x", **{**ELASTIC, **options})


def test_a_material_needs_a_name():
    with pytest.raises(ValueError, match="Material: expected a name .got ' '"):
        Material(" ", **ELASTIC)


def test_require_names_all_missing_properties():
    material = Material("x", **ELASTIC, density=8000)
    material.require("density", "youngs_modulus")
    with pytest.raises(
        ValueError,
        match=r"Material 'x': expected yield_stress and liquidus.*got none.*of lpbf.MATERIALS",
    ):
        material.require("density", "yield_stress", "liquidus")


def test_get_material():
    assert get_material("316L") is MATERIALS["316L"]
    own = Material("x", **ELASTIC)
    assert get_material(own) is own
    with pytest.raises(ValueError, match="unknown material 'IN 718'; did you mean 'IN718'"):
        get_material("IN 718")
    with pytest.raises(ValueError, match="unknown material '316'"):
        get_material(316)  # pyright: ignore[reportArgumentType]
