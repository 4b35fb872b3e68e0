"""Named processes to start from."""

from lpbf.core.heat import Heat
from lpbf.core.material import Material
from lpbf.core.materials import MATERIALS
from lpbf.core.process import Process
from lpbf.core.table import as_table

# Along the scan vectors, across them and in the build direction, as parts of the mean: the default
# "anisotropic strain coefficients" of Ansys Additive (help of 2024 R2). Not a measurement of ours.
_ANISOTROPY = (1.5, 0.5, 1.0)

# Of a simulated layer of about 1 mm, at some 10 s each: exposure and recoating of a small plate.
_POWDER_LAYERS = 30
_LAYER_TIME = 10.0

# Temperature of the plate, C: 35 as in the EOS data sheet of AlSi10Mg for the M 290, else typical.
_PREHEAT = {"Ti-6Al-4V": 170.0, "316L": 80.0, "IN718": 80.0, "AlSi10Mg": 35.0}


def yield_strain(material: Material) -> float:
    """sigma_y (1 - nu) / E at 25 C: what stresses a layer on a rigid base to its yield stress.

    A layer that would shrink more sheds the rest by plastic flow, so this is an estimate from
    above of the inherent strain of an elastic model.

    Raises:
        ValueError: If the material has no yield stress.
    """
    material.require("yield_stress")
    assert material.yield_stress is not None
    strength = as_table(material.yield_stress)(25.0)
    return strength * (1 - material.poisson_ratio) / material.youngs_modulus


def _preset(name: str) -> Process:
    mean = -yield_strain(MATERIALS[name])
    along, across, build = (round(part * mean, 5) for part in _ANISOTROPY)
    return Process(
        material=name,
        inherent_strain=(along, across, build),
        powder_layers=_POWDER_LAYERS,
        heat=Heat(preheat=_PREHEAT[name], dwell_time=_POWDER_LAYERS * _LAYER_TIME),
    ).with_scan("stripes")


PRESETS = {name: _preset(name) for name in MATERIALS}
"""By material: stripes turned by 67 degrees a powder layer, an inherent strain that is estimated
from the yield stress and not calibrated (for the elastic model), and heat conduction."""
