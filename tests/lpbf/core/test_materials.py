import numpy as np
import pytest

from lpbf.core.material import TABLE_PROPERTIES
from lpbf.core.materials import MATERIALS
from lpbf.core.table import Table, as_table

PROPERTIES = (
    "youngs_modulus",
    "poisson_ratio",
    "yield_stress",
    "hardening_modulus",
    "thermal_expansion",
    "density",
    "conductivity",
    "specific_heat",
    "solidus",
    "liquidus",
    "latent_heat",
)

# Of other alloys of the same metals, from general handbooks: a slip by a factor would show.
ROUGHLY = {
    # MPa, 1/K, kg/m^3, W/(m K), J/(kg K) at 25 C, C
    "Ti-6Al-4V": (110e3, 9e-6, 4430, 6.7, 530, 1630),
    "316L": (195e3, 16.5e-6, 7950, 14.5, 490, 1420),
    "IN718": (200e3, 13.5e-6, 8200, 11.0, 435, 1300),
    "AlSi10Mg": (71e3, 21e-6, 2680, 120, 900, 575),
}


@pytest.mark.parametrize("material", MATERIALS.values(), ids=list(MATERIALS))
def test_complete_with_a_source_for_each_property(material):
    material.require(*PROPERTIES)
    told = " ".join(material.sources)
    assert [name for name in PROPERTIES if name not in told] == []


@pytest.mark.parametrize("name", ROUGHLY)
def test_magnitudes(name):
    material = MATERIALS[name]
    assert material.name == name
    found = (
        material.youngs_modulus_at(25.0),
        as_table(material.thermal_expansion)(25.0),
        material.density,
        as_table(material.conductivity)(25.0),
        as_table(material.specific_heat)(25.0),
        (material.solidus + material.liquidus) / 2,
    )
    np.testing.assert_allclose(found, ROUGHLY[name], rtol=0.1)


@pytest.mark.parametrize("material", MATERIALS.values(), ids=list(MATERIALS))
def test_tables_over_temperature(material):
    for name in TABLE_PROPERTIES:
        table = getattr(material, name)
        if not isinstance(table, Table):
            continue
        assert table.temperature[0] == 25.0
        assert table.temperature[-1] <= material.solidus
    strength = np.array(material.yield_stress.value)
    assert (np.diff(strength) < 0).all()
    assert strength[-1] < 0.03 * strength[0]
    assert (np.diff(as_table(material.youngs_modulus).value) < 0).all()
    hardening = np.array(material.hardening_modulus.value)
    np.testing.assert_allclose(hardening / hardening[0], strength / strength[0])
    # The free thermal strain increases with the temperature.
    temperature = np.linspace(25, material.liquidus, 200)
    expansion = as_table(material.thermal_expansion)(temperature) * (temperature - 25.0)
    assert (np.diff(expansion) > 0).all()


def test_elasticity_of_the_default_alloy():
    titanium = MATERIALS["Ti-6Al-4V"]
    assert (titanium.youngs_modulus_at(25.0), titanium.poisson_ratio) == (113_800.0, 0.342)


def test_steel_follows_the_fit_to_its_source():
    # MOOSE's polynomials in K for 316 after Mills (2002), at a temperature between the rows.
    kelvin = 500 + 273.15
    steel = MATERIALS["316L"]
    conductivity = -7.301e-6 * kelvin**2 + 0.02716 * kelvin + 6.308
    assert as_table(steel.conductivity)(500.0) == pytest.approx(conductivity, rel=0.01)
    assert as_table(steel.specific_heat)(500.0) == pytest.approx(
        0.1816 * kelvin + 428.46, rel=0.005
    )


def test_nickel_follows_its_source():
    kelvin = 350 + 273.15
    nickel = MATERIALS["IN718"]
    conductivity = 5.291 + 0.0152 * kelvin + 1.382e-6 * kelvin**2
    assert as_table(nickel.conductivity)(350.0) == pytest.approx(conductivity, rel=0.01)
    assert as_table(nickel.specific_heat)(350.0) == pytest.approx(362 + 0.2118 * kelvin, rel=0.005)
