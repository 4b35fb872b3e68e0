"""Identification of the inherent strain from a measured part."""

from lpbf.calibrate.calibrate import calibrate
from lpbf.calibrate.calibration import Calibration
from lpbf.calibrate.measured_point import MeasuredPoint
from lpbf.calibrate.measurement import Measurement
from lpbf.calibrate.specimens import (
    SPECIMENS,
    AmbenchBridge,
    Bridge,
    Cantilever,
    Specimen,
    TwinCantilever,
)

__all__ = [
    "SPECIMENS",
    "AmbenchBridge",
    "Bridge",
    "Calibration",
    "Cantilever",
    "MeasuredPoint",
    "Measurement",
    "Specimen",
    "TwinCantilever",
    "calibrate",
]
