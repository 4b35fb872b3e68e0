import numpy as np
import pytest

from lpbf.core.material import Material
from lpbf.core.materials import MATERIALS
from lpbf.core.presets import PRESETS, yield_strain
from lpbf.core.process import Process
from lpbf.core.table import as_table


def test_every_material_has_a_preset():
    assert list(PRESETS) == list(MATERIALS)
    for name in PRESETS:
        process = Process.preset(name)
        assert process.material == name
        assert process.heat is not None
        assert Process.from_dict(process.to_dict()) == process


@pytest.mark.parametrize("material", MATERIALS.values(), ids=list(MATERIALS))
def test_yield_strain_stresses_a_clamped_layer_to_yield(material):
    strain = yield_strain(material)
    stress = material.elasticity @ np.array([strain, strain, 0, 0, 0, 0])
    # The layer is free to expand upwards.
    e = material.elasticity
    stress = stress - e[:, 2] * stress[2] / e[2, 2]
    np.testing.assert_allclose(stress[:3], [*[as_table(material.yield_stress)(25.0)] * 2, 0])
    np.testing.assert_allclose(
        np.mean(Process.preset(material.name).inherent_strain[:2]), -strain, atol=1e-5
    )


def test_yield_strain_needs_a_yield_stress():
    with pytest.raises(ValueError, match="Material 'x': expected yield_stress"):
        yield_strain(Material("x", 1e5, 0.3))


def test_rotation_averages_the_in_plane_strains():
    aligned = Process.preset("316L", scan="unidirectional").layer_strain(3)
    assert aligned[0] / aligned[1] == pytest.approx(3.0, abs=0.02)
    for scan in ("cross", "67", "stripes", "chessboard"):
        turned = Process.preset("316L", scan=scan).layer_strain(3)
        np.testing.assert_allclose(turned[0] / turned[1], 1.0, atol=0.05)
        np.testing.assert_allclose(turned[:2].sum(), aligned[:2].sum())


def test_changes():
    process = Process.preset("IN718", scan=45, heat=None, plasticity=True)
    assert process.scan_rotation == 45.0
    assert process.plasticity
    assert process.heat is None
    with pytest.raises(ValueError, match="unknown preset 'in718'; did you mean 'IN718'"):
        Process.preset("in718")
