"""Named processes to start from."""

from typing import Any

from lpbf.core.heat import Heat
from lpbf.core.material import ROOM_TEMPERATURE, Material
from lpbf.core.materials import MATERIALS
from lpbf.core.table import as_table

# Ratios to the mean strain along the scan vectors, across them, and in the build direction: the
# default "anisotropic strain coefficients" of Ansys Additive (help of 2024 R2), not a measurement.
_ANISOTROPY = (1.5, 0.5, 1.0)

# For the default layers of 0.4 mm; exposure and recoating of a small plate take about 10 s.
_POWDER_LAYERS = 10
_LAYER_TIME = 10.0

# Plate temperature, C: 35 from the EOS data sheet of AlSi10Mg for the M 290, otherwise typical.
_PREHEAT = {"Ti-6Al-4V": 170.0, "316L": 80.0, "IN718": 80.0, "IN625": 80.0, "AlSi10Mg": 35.0}


def yield_strain(material: Material) -> float:
    """Strain sigma_y (1 - nu) / E that stresses a layer on a rigid base to yield, at 25 C.

    The strain at which a layer begins to flow, of the order of magnitude of the inherent strain of
    an elastic model, and no bound of it: with that of IN718 the bridge of AM-Bench 2018-01 (IN625)
    bends by 0.75 mm in place of the measured 1.28 mm.

    Raises:
        ValueError: If the material has no yield stress.
    """
    material.require("yield_stress")
    assert material.yield_stress is not None
    strength = as_table(material.yield_stress)(ROOM_TEMPERATURE)
    return strength * (1 - material.poisson_ratio) / material.youngs_modulus_at(ROOM_TEMPERATURE)


def _preset(name: str) -> dict[str, Any]:
    mean = -yield_strain(MATERIALS[name])
    along, across, build = (round(ratio * mean, 5) for ratio in _ANISOTROPY)
    return {
        "material": name,
        "inherent_strain": (along, across, build),
        "powder_layers": _POWDER_LAYERS,
        "heat": Heat(preheat=_PREHEAT[name], dwell_time=_POWDER_LAYERS * _LAYER_TIME),
    }


PRESETS = {name: _preset(name) for name in MATERIALS}
"""Arguments of :class:`~lpbf.Process` by material: heat conduction, and an inherent strain for the
elastic model that is estimated from the yield stress, not calibrated."""
