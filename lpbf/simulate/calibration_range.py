"""Range of a calibrated inherent strain."""

import warnings

import numpy as np

from lpbf.core.errors import PartWarning
from lpbf.core.materials import get_material
from lpbf.core.mesh import HexMesh
from lpbf.core.process import Process


def check_strain_source(process: Process, mesh: HexMesh) -> None:
    """Warn if a calibrated strain is used with another model than that of its calibration.

    Args:
        process: The process.
        mesh: The part.
    """
    source = process.strain_source
    if source is None:
        return
    height = process.voxels_per_layer(mesh.spacing[2]) * mesh.spacing[2]
    material = get_material(process.material).name
    differences = []
    if not np.allclose(mesh.spacing, source.pitch, rtol=1e-6):
        sizes = (" x ".join(f"{edge:.4g}" for edge in e) for e in (source.pitch, mesh.spacing))
        differences.append("voxels of {} mm (not {} mm)".format(*sizes))
    if not np.isclose(height, source.layer_height, rtol=1e-6):
        differences.append(f"layers of {source.layer_height:.4g} mm (not {height:.4g} mm)")
    if process.plasticity != source.plasticity:
        differences.append("plasticity" if source.plasticity else "an elastic material")
    if material != source.material:
        differences.append(f"{source.material} (not {material})")
    if differences:
        text = (
            f"the inherent strain was calibrated with {', '.join(differences)}; it depends on "
            f"them, so simulate alike or calibrate again"
        )
        warnings.warn(text, PartWarning, stacklevel=4)
