"""Range of the model: small strains, the recoater, and stresses without yielding."""

import math
import warnings
from collections.abc import Iterator

import numpy as np

from lpbf.core.errors import PartWarning
from lpbf.core.machine import Machine
from lpbf.core.materials import get_material
from lpbf.core.process import Process
from lpbf.core.result import Result
from lpbf.core.table import as_table

# Displacement over the largest extent of the part.
_LARGEST = 0.05
# Elastic stress over the yield stress, and share of the nodes with more.
_YIELD, _SHARE = 2.0, 0.1


def check_range(result: Result, process: Process, layer_height: float) -> None:
    """Warn of results for which the model is a poor one, with a line for each reason.

    Args:
        result: The finished part.
        process: The process.
        layer_height: Height of a simulated layer, mm.
    """
    for text in _reasons(result, process, layer_height):
        warnings.warn(text, PartWarning, stacklevel=4)


def _reasons(result: Result, process: Process, layer_height: float) -> Iterator[str]:
    largest = float(np.linalg.norm(result.displacement, axis=1).max())
    extent = float(np.ptp(result.points, axis=0).max())
    if largest > _LARGEST * extent:
        yield (
            f"a displacement of {largest:.3g} mm in a part of {extent:.4g} mm is out of the range "
            f"of the small-strain model; support the overhangs or rotate the part"
        )
    clearance = result.recoater_clearance
    powder = _powder_layer(process, layer_height)
    if clearance is not None and np.nanmax(clearance) > powder:
        layer = int(np.nanargmax(clearance))
        yield (
            f"layer {layer} rises by {clearance[layer]:.3g} mm, more than a layer of "
            f"{powder:.3g} mm, so that the recoater would hit it; support the overhangs or rotate "
            f"the part"
        )
    strength = get_material(process.material).yield_stress
    if process.plasticity or strength is None:
        return
    strength = float(as_table(strength)(process.temperature))
    high = math.ceil(_SHARE * len(result.von_mises))
    stress = float(np.sort(result.von_mises)[-high])
    if stress > _YIELD * strength:
        calibrated = (
            ", or rely on the displacement alone if the inherent strain was calibrated elastically"
        )
        yield (
            f"the elastic von Mises stress exceeds {stress:.0f} MPa at a tenth of the nodes, over "
            f"{_YIELD:g} times the yield stress of {strength:.0f} MPa; use plasticity"
            f"{calibrated if process.strain == 'inherent' else ''}"
        )


def _powder_layer(process: Process, layer_height: float) -> float:
    """Thickness of a powder layer, mm; the height of a simulated one if it is not known."""
    if isinstance(process.machine, Machine):
        return min(process.machine.layer_thickness, layer_height)
    return layer_height / process.powder_layers
