"""Simulator of laser powder bed fusion, in mm, MPa, degrees Celsius and seconds."""

from lpbf.calibrate import calibrate
from lpbf.compensate import compensate
from lpbf.core.base_plate import BasePlate
from lpbf.core.cut import BoxCut, PlaneCut
from lpbf.core.errors import IslandError, PartError, PartWarning, SolverError
from lpbf.core.heat import Heat
from lpbf.core.islands import Island, find_unsupported
from lpbf.core.machine import MACHINES, Machine
from lpbf.core.material import Material
from lpbf.core.materials import MATERIALS
from lpbf.core.mesh import HexMesh
from lpbf.core.presets import PRESETS
from lpbf.core.process import Process
from lpbf.core.report import Report, StepReport
from lpbf.core.result import LayerState, ReleaseState, Result
from lpbf.core.scan import SCANS, Scan
from lpbf.core.support_cells import add_supports
from lpbf.core.supports import Supports
from lpbf.core.table import Table
from lpbf.core.voxelize import voxelize
from lpbf.core.voxelize_layers import voxelize_layers
from lpbf.core.voxelize_plate import voxelize_plate
from lpbf.simulate import simulate
from lpbf.simulate.deformed import deformed_surface

__all__ = [
    "MACHINES",
    "MATERIALS",
    "PRESETS",
    "SCANS",
    "BasePlate",
    "BoxCut",
    "Heat",
    "HexMesh",
    "Island",
    "IslandError",
    "LayerState",
    "Machine",
    "Material",
    "PartError",
    "PartWarning",
    "PlaneCut",
    "Process",
    "ReleaseState",
    "Report",
    "Result",
    "Scan",
    "SolverError",
    "StepReport",
    "Supports",
    "Table",
    "add_supports",
    "calibrate",
    "compensate",
    "deformed_surface",
    "find_unsupported",
    "simulate",
    "voxelize",
    "voxelize_layers",
    "voxelize_plate",
]
