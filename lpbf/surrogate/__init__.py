"""CAD parts as a source of prediction: the one package of the simulator that knows networks."""

from lpbf.surrogate.part_source import PartSource

__all__ = ["PartSource"]
