"""Summary of a simulation in a few numbers."""

import math
from typing import Any

import numpy as np

from lpbf.core.layers import LAYER_HEIGHT
from lpbf.core.materials import get_material
from lpbf.core.mesh import HexMesh
from lpbf.core.plate import Plate
from lpbf.core.process import Process
from lpbf.core.result import Result
from lpbf.core.rigid_motion import RigidMotion
from lpbf.core.support_cells import contact_area


def describe_mesh(mesh: HexMesh, process: Process) -> str:
    """One line about the mesh.

    Raises:
        ValueError: If the process's layers do not fit the voxels.
    """
    rows = process.voxels_per_layer(mesh.spacing[2])
    layers = -(-mesh.mask.shape[2] // rows)
    x, y, z = mesh.spacing
    differs = process.layer_height is None and not math.isclose(rows * z, LAYER_HEIGHT)
    note = f" (rows of voxels; the default is {LAYER_HEIGHT:g} mm)" if differs else ""
    return (
        f"{mesh.num_nodes:,} nodes, {mesh.num_cells:,} voxels of {x:.4g} x {y:.4g} x {z:.4g} mm, "
        f"{layers} layer{'s' * (layers > 1)} of {rows * z:.4g} mm{note}"
    )


def describe_filling(mesh: HexMesh) -> str:
    """One line about how the voxels fill the part; empty without a closed surface."""
    filling = mesh.filling
    if filling is None:
        return ""
    spanned = zip(filling.extents, filling.lost, strict=True)
    inside = " x ".join(f"{extent - lost:.4g}" for extent, lost in spanned)
    extents = " x ".join(f"{extent:.4g}" for extent in filling.extents)
    before = ", before islands were dropped, hold" if filling.dropped else " hold"
    return (
        f"its voxels{before} {100 * filling.volume:.0f} % of its volume and {inside} of its "
        f"{extents} mm; mean wall {filling.wall:.3g} mm, thinnest {filling.thinnest or 'not found'}"
    )


def describe_strain(process: Process) -> str:
    """One line about the strain of a layer and where it comes from."""
    if process.strain == "thermal":
        material = get_material(process.material)
        limit = material.stress_free_temperature
        start = "the deposition" if limit is None else f"{limit:.4g} C"
        return f"thermal strain of {material.name}, free of stress from {start} on"
    strain = ", ".join(f"{value:.4g}" for value in process.inherent_strain)
    return f"inherent strain {strain}: {process.strain_source or 'not calibrated'}"


def summarize(result: Result) -> dict[str, Any]:
    """Extreme values of the fields that a result has, by name and unit.

    Voxels that the release removes count for the values on the plate alone.
    """
    left = result.remaining_nodes
    displacement, temperature = result.displacement[left], result.temperature[left]
    z = displacement[:, 2]
    summary: dict[str, Any] = {
        "max_displacement_mm": _longest(displacement),
        "min_displacement_z_mm": float(z.min()),
        "max_displacement_z_mm": float(z.max()),
        "max_von_mises_mpa": float(result.von_mises[left].max()),
        "max_principal_stress_mpa": float(result.principal_stress[left, 0].max()),
        "min_temperature_c": float(temperature.min()),
        "max_temperature_c": float(temperature.max()),
    }
    supports, voxel = result.mesh.supports, float(np.prod(result.mesh.spacing))
    summary["part_volume_mm3"] = result.mesh.num_cells * voxel
    if supports is not None:
        summary["support_volume_mm3"] = float(supports.sum()) * voxel
        summary["support_contact_area_mm2"] = contact_area(result.mesh)
    if result.mesh.placement is not None:
        summary["placement"] = result.mesh.placement.to_dict()
    if result.mesh.plate is not None:
        summary["parts"] = _parts(result, result.mesh.plate)
    if result.build_time is not None:
        summary["build_time_h"] = result.build_time / 3600
    if result.displacement_on_plate is not None:
        summary["max_displacement_on_plate_mm"] = _longest(result.displacement_on_plate)
    if result.equivalent_plastic_strain is not None:
        strain = result.equivalent_plastic_strain[left]
        summary["max_equivalent_plastic_strain"] = float(strain.max())
    if result.recoater_clearance is not None:
        summary["max_recoater_clearance_mm"] = float(np.nanmax(result.recoater_clearance))
        summary["highest_layer"] = int(np.nanargmax(result.recoater_clearance))
    if result.plate_temperature is not None:
        summary["max_plate_temperature_c"] = float(result.plate_temperature.max())
        summary["plate_temperature_c"] = float(result.plate_temperature[-1])
    return summary


def summary_text(summary: dict[str, Any]) -> str:
    """Summary as text, one line per quantity."""
    value = summary.__getitem__
    lines = {"max displacement": f"{_mm(value('max_displacement_mm'))} mm"}
    if "max_displacement_on_plate_mm" in summary:
        lines["max displacement"] += (
            f" after the release, {_mm(value('max_displacement_on_plate_mm'))} mm on the plate"
        )
    lines["z displacement"] = (
        f"{_mm(value('min_displacement_z_mm'))} to {_mm(value('max_displacement_z_mm'))} mm"
    )
    lines["max von Mises"] = f"{value('max_von_mises_mpa'):.0f} MPa"
    if "max_equivalent_plastic_strain" in summary:
        lines["max plastic strain"] = f"{100 * value('max_equivalent_plastic_strain'):.2f} %"
    if "max_recoater_clearance_mm" in summary:
        rise = value("max_recoater_clearance_mm")
        side = "above" if rise >= 0 else "below"
        lines["recoater"] = (
            f"layer {value('highest_layer')} rises highest, to {_mm(abs(rise))} mm {side} the "
            f"plane of the next layer"
        )
    low, high = value("min_temperature_c"), value("max_temperature_c")
    if high - low > 0.5:
        lines["temperature"] = f"{low:.0f} to {high:.0f} C at the end"
    if "plate_temperature_c" in summary:
        lines["plate"] = (
            f"up to {value('max_plate_temperature_c'):.0f} C during the build, "
            f"{value('plate_temperature_c'):.0f} C at the end"
        )
    if "part_volume_mm3" in summary:
        lines["part volume"] = f"{value('part_volume_mm3'):.4g} mm3"
    if "support_volume_mm3" in summary:
        lines["supports"] = (
            f"{value('support_volume_mm3'):.4g} mm3 around their walls, which touch the part on "
            f"{value('support_contact_area_mm2'):.4g} mm2"
        )
    if "build_time_h" in summary:
        lines["build time"] = f"at least {value('build_time_h'):.3g} h"
    if "placement" in summary:
        lines["placement"] = _motion_text(value("placement"))
    for number, part in enumerate(summary.get("parts", ()), start=1):
        lines[f"part {number}"] = (
            f"{part['name']}: max displacement {_mm(part['max_displacement_mm'])} mm, von Mises "
            f"{part['max_von_mises_mpa']:.0f} MPa, {part['volume_mm3']:.4g} mm3, "
            f"{_motion_text(part['placement'])}"
        )
    return "\n".join(f"{name:<20}{text}" for name, text in lines.items())


def _parts(result: Result, plate: Plate) -> list[dict[str, Any]]:
    """Extreme values of each part of a plate, without voxels that the release removes."""
    number, voxel = result.part_number, float(np.prod(result.mesh.spacing))
    length, stress = np.linalg.norm(result.displacement, axis=1), result.von_mises
    parts = []
    for part, (name, motion) in enumerate(zip(plate.names, plate.motions, strict=True), start=1):
        nodes = np.unique(result.cells[(number == part) & ~result.removed])
        parts.append(
            {
                "name": name,
                "max_displacement_mm": float(length[nodes].max(initial=0.0)),
                "max_von_mises_mpa": float(stress[nodes].max(initial=0.0)),
                "volume_mm3": float((number == part).sum()) * voxel,
                "placement": motion.to_dict(),
            }
        )
    return parts


def _motion_text(motion: dict[str, Any]) -> str:
    return str(RigidMotion(np.array(motion["rotation"]), np.array(motion["translation_mm"])))


def _mm(value: float) -> str:
    """Length with a resolution of 1 um; two significant digits below 0.01 mm."""
    return f"{value:.3f}" if abs(value) >= 0.01 or value == 0 else f"{value:.2g}"


def _longest(vectors: np.ndarray) -> float:
    return float(np.linalg.norm(vectors, axis=1).max())
