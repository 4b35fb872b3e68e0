"""Prediction for CAD parts; the only package of the simulator that imports networks."""

from lpbf.surrogate.part_source import PartSource

__all__ = ["PartSource"]
