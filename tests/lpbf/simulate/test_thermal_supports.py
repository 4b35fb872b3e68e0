"""Supports with thermal strain: dense limit, symmetry, release, results."""

import dataclasses

import numpy as np
import pytest

import lpbf.mechanics.build
from flare_mesh.io import read_mesh
from lpbf import HexMesh, Material, Process, Supports, simulate
from lpbf.core.element import isotropic_elasticity
from lpbf.core.heat import Heat
from lpbf.core.support_cells import with_supports
from lpbf.core.table import Table

STEEL = Material(
    "steel", Table((25.0, 1400.0), (200e3, 100e3)), 0.3,
    yield_stress=Table((25.0, 1400.0), (400.0, 80.0)),
    hardening_modulus=2000.0, thermal_expansion=12e-6, density=7900.0, conductivity=20.0,
    specific_heat=500.0, solidus=1400.0, liquidus=1450.0, latent_heat=250e3,
)  # fmt: skip
HEAT = Heat(dwell_time=30.0, time_steps=4, growth=1.6, plate_heat_capacity=200.0)


def process(plasticity=True, **options):
    return Process(
        material=STEEL, layer_height=2.0, heat=HEAT, strain="thermal", plasticity=plasticity,
        plastic_increments=2, release=True, **options,
    )  # fmt: skip


def arch(mirrored=False):
    """A post with a flat overhang on one side."""
    mask = np.zeros((5, 2, 4), dtype=bool)
    mask[:2] = True
    mask[:, :, 2:] = True
    mask[4, 1] = False
    return HexMesh.from_mask(mask[::-1] if mirrored else mask, (1.0, 1.2, 1.0))


def test_solid_supports_are_a_part_of_the_part(monkeypatch):
    """The part with supports of its own stiffness, strength and heat is the part without a gap."""

    def dense(youngs_modulus, poisson_ratio, volume_fraction):
        return isotropic_elasticity(youngs_modulus, poisson_ratio)

    monkeypatch.setattr(lpbf.mechanics.build, "wall_grid_elasticity", dense)
    supports = Supports()
    object.__setattr__(supports, "volume_fraction", 1.0)  # outside its range
    found = simulate(arch(), process(supports=supports))
    assert found.mesh.supports is not None
    solid = HexMesh.from_mask(found.mesh.mask | found.mesh.supports, found.mesh.spacing)
    expected = simulate(solid, process())
    nodes = found.mesh.nodes_in(solid)
    assert (expected.equivalent_plastic_strain > 0).mean() > 0.5
    for one, other in (
        (found.displacement_on_plate, expected.displacement_on_plate[nodes]),
        (found.release[0].displacement, expected.displacement[nodes]),
    ):
        np.testing.assert_allclose(one, other, atol=1e-4 * np.abs(other).max())
    state = found.supports
    inside = ~np.isin(state.mesh.nodes_in(solid), nodes)
    ids = state.mesh.nodes_in(solid)[inside]
    temperature = state.fields["temperature"][inside]
    np.testing.assert_allclose(temperature, expected.temperature[ids], atol=1e-6)
    np.testing.assert_allclose(
        state.displacement[inside], expected.displacement[ids],
        atol=1e-4 * np.abs(expected.displacement).max(),
    )  # fmt: skip


@pytest.mark.parametrize("plasticity", [False, True])
def test_mirrored_part(plasticity, tmp_path):
    options = process(plasticity, supports=True)
    one, other = (simulate(arch(side), options, tolerance=1e-10) for side in (False, True))
    assert one.mesh.supports.any()
    order = np.lexsort((-one.points[:, 0], one.points[:, 1], one.points[:, 2]))
    np.testing.assert_allclose(other.temperature, one.temperature[order], atol=1e-4)
    scale = np.abs(one.displacement).max()
    atol = (1e-5 if plasticity else 1e-8) * scale
    mirrored = one.displacement[order] * [-1, 1, 1]
    np.testing.assert_allclose(other.displacement, mirrored, atol=atol)
    assert [state.name for state in one.release] == ["release", "supports off"]
    # Free of the supports, the part is in another equilibrium.
    assert np.abs(one.displacement - one.release[0].displacement).max() > 0.01 * scale

    one.save(tmp_path / "part.vtu")
    saved = read_mesh(tmp_path / "part.vtu").temperature.numpy()
    whole, supports = with_supports(one.mesh), one.supports
    own = ~np.isin(supports.mesh.nodes_in(whole), one.mesh.nodes_in(whole))
    expected = np.append(one.temperature, supports.fields["temperature"][own])
    np.testing.assert_allclose(saved, expected, rtol=1e-6)


def test_supports_conduct_heat_with_an_inherent_strain():
    options = dataclasses.replace(process(supports=True), strain="inherent")
    found = simulate(arch(), options)
    without = simulate(arch(), dataclasses.replace(options, supports=None))
    # The overhang loses heat through its supports.
    assert found.interlayer_temperature[1] < without.interlayer_temperature[1] - 2.0
