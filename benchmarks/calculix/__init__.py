"""Voxel meshes in CalculiX; needs ``ccx`` (package ``calculix-ccx`` of Debian)."""

from calculix.deck import Metal, build_deck, step_deck
from calculix.run import Solved, available, run

__all__ = ["Metal", "Solved", "available", "build_deck", "run", "step_deck"]
