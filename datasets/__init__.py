"""Data sets as PyG data sets; installed as ``flare_mesh.datasets``."""

from flare_mesh.datasets.airfoil import Airfoil
from flare_mesh.datasets.darcy import Darcy
from flare_mesh.datasets.elasticity import Elasticity
from flare_mesh.datasets.field_dataset import FieldDataset
from flare_mesh.datasets.lpbf import LPBF
from flare_mesh.datasets.mesh_folder import MeshFolder
from flare_mesh.datasets.navier_stokes import NavierStokes
from flare_mesh.datasets.pdebench import PDEBench
from flare_mesh.datasets.pipe import Pipe
from flare_mesh.datasets.plasticity import Plasticity

__all__ = [
    "LPBF",
    "Airfoil",
    "Darcy",
    "Elasticity",
    "FieldDataset",
    "MeshFolder",
    "NavierStokes",
    "PDEBench",
    "Pipe",
    "Plasticity",
]
