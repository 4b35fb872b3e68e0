"""Pre-deformation of surfaces, which compensates the distortion of the printed part."""

from lpbf.compensate.compensate import compensate
from lpbf.compensate.compensation import Check, Compensation, Deviation, Distances, Iteration
from lpbf.compensate.topology import Defect, Topology

__all__ = [
    "Check",
    "Compensation",
    "Defect",
    "Deviation",
    "Distances",
    "Iteration",
    "Topology",
    "compensate",
]
