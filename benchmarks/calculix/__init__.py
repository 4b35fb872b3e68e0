"""Voxel meshes in CalculiX; needs ``ccx`` (package ``calculix-ccx`` of Debian)."""

from calculix.deck import Metal, build_deck, step_deck
from calculix.run import Solved, available, run
from calculix.thermal_deck import coupled_deck, thermal_build_deck

__all__ = [
    "Metal",
    "Solved",
    "available",
    "build_deck",
    "coupled_deck",
    "run",
    "step_deck",
    "thermal_build_deck",
]
