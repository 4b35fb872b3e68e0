"""Checks of the values of a process."""

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from flare_mesh.choices import check_choice
from lpbf.core.base_plate import BasePlate
from lpbf.core.checks import check_bool, check_count, check_field, check_number
from lpbf.core.cut import check_release
from lpbf.core.heat import Heat
from lpbf.core.islands import ISLANDS
from lpbf.core.machine import Machine, get_machine
from lpbf.core.material import Material
from lpbf.core.materials import get_material
from lpbf.core.strain_source import StrainSource
from lpbf.core.supports import Supports

if TYPE_CHECKING:
    from lpbf.core.process import Process

STRAINS = ("inherent", "thermal")
"""What strains a layer: a given inherent strain, or the contraction as it cools."""


def check_process(process: "Process") -> None:
    """Check each value of a process that is being made, and bring it to its own type.

    Raises:
        ValueError: If a value is outside its range, or does not fit the others.
    """
    material = get_material(process.material)
    check_field(process, "scan_rotation")
    check_field(process, "scan_angle")
    check_field(process, "temperature", -273.15, 3e3, "C")
    check_field(process, "layer_height", 0, unit="mm", above=True)
    object.__setattr__(process, "inherent_strain", _check_strain(process.inherent_strain))
    for name in ("powder_layers", "plastic_increments"):
        count = check_count("Process", name, getattr(process, name), 10_000)
        object.__setattr__(process, name, count)
    for name in ("plasticity", "incompatible_modes"):
        check_bool("Process", name, getattr(process, name))
    object.__setattr__(process, "release", check_release(process.release))
    check_choice("unknown islands", process.islands, ISLANDS)
    object.__setattr__(process, "machine", get_machine(process.machine))
    if isinstance(process.supports, bool):
        object.__setattr__(process, "supports", Supports() if process.supports else None)
    for name, kind in (
        ("base_plate", BasePlate),
        ("heat", Heat),
        ("strain_source", StrainSource),
        ("supports", Supports),
        ("machine", Machine),
    ):
        value = getattr(process, name)
        if not isinstance(value, kind | None):
            expected = f"{name} as a {kind.__name__} or None"
            raise ValueError(f"Process: expected {expected} (got {value!r})")
    source = process.strain_source
    if source is not None and source.inherent_strain != process.inherent_strain:
        raise ValueError(
            f"Process: expected the inherent_strain {source.inherent_strain} that "
            f"strain_source was calibrated to (got {process.inherent_strain}); leave out "
            f"strain_source for a strain of your own"
        )
    check_choice("unknown strain", process.strain, STRAINS)
    if process.strain == "thermal":
        _check_thermal(process, material)
    if process.plasticity:
        material.require("yield_stress")
    if process.heat is not None:
        material.require("density", "conductivity", "specific_heat", "latent_heat")
        if process.heat.deposition_temperature is None:
            material.require("liquidus")
        if process.heat.thermal_strain:
            material.require("thermal_expansion")


def _check_strain(given: Any) -> tuple[float, ...]:
    if isinstance(given, (Sequence, np.ndarray)) and len(given) == 3:
        with suppress(ValueError):  # the message below says more
            return tuple(check_number("", "", strain, -0.1, 0.1) for strain in given)
    raise ValueError(
        f"Process: expected inherent_strain as (exx, eyy, ezz), each within 0.1 of zero "
        f"(got {given})"
    )


def _check_thermal(process: "Process", material: Material) -> None:
    heat = process.heat
    if heat is None:
        problem = "a heat model (got heat=None); set heat"
    elif heat.thermal_strain:
        problem = "heat.thermal_strain=False (got True); it adds to an inherent strain"
    elif process.strain_source is not None:
        problem = "no strain_source, which belongs to an inherent strain; leave it out"
    elif process.plastic_increments > heat.time_steps:
        problem = (
            f"at most as many plastic_increments as time_steps of the heat (got "
            f"{process.plastic_increments} and {heat.time_steps})"
        )
    else:
        material.require("thermal_expansion")
        return
    raise ValueError(f"Process: with strain='thermal', expected {problem}")
