"""An open simulator of laser powder bed fusion: mm, MPa, degrees Celsius, seconds."""

from lpbf.errors import IslandError, PartError, PartWarning, SolverError
from lpbf.islands import Island, drop_islands
from lpbf.material import MATERIALS, Material
from lpbf.mesh import HexMesh
from lpbf.process import Process
from lpbf.result import Result
from lpbf.simulate import simulate
from lpbf.voxelize import voxelize

__all__ = [
    "MATERIALS",
    "HexMesh",
    "Island",
    "IslandError",
    "Material",
    "PartError",
    "PartWarning",
    "Process",
    "Result",
    "SolverError",
    "drop_islands",
    "simulate",
    "voxelize",
]
