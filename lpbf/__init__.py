"""An open simulator of laser powder bed fusion: mm, MPa, degrees Celsius, seconds."""

from lpbf.base_plate import BasePlate
from lpbf.errors import IslandError, PartError, PartWarning, SolverError
from lpbf.heat import Heat
from lpbf.islands import Island, drop_islands
from lpbf.material import Material
from lpbf.materials import MATERIALS
from lpbf.mesh import HexMesh
from lpbf.presets import PRESETS
from lpbf.process import Process
from lpbf.report import Report, StepReport
from lpbf.result import LayerState, Result
from lpbf.scan import SCANS, Scan
from lpbf.simulate import simulate
from lpbf.table import Table
from lpbf.voxelize import voxelize

__all__ = [
    "MATERIALS",
    "PRESETS",
    "SCANS",
    "BasePlate",
    "Heat",
    "HexMesh",
    "Island",
    "IslandError",
    "LayerState",
    "Material",
    "PartError",
    "PartWarning",
    "Process",
    "Report",
    "Result",
    "Scan",
    "SolverError",
    "StepReport",
    "Table",
    "drop_islands",
    "simulate",
    "voxelize",
]
