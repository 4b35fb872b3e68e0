"""Data sets as PyG data sets; installed as ``flare_mesh.datasets``."""

from typing import TYPE_CHECKING

from flare_mesh.lazy import lazy_names

if TYPE_CHECKING:
    from flare_mesh.datasets.airfoil import Airfoil
    from flare_mesh.datasets.airfrans import AirfRANS
    from flare_mesh.datasets.darcy import Darcy
    from flare_mesh.datasets.drivaerml import DrivAerML
    from flare_mesh.datasets.elasticity import Elasticity
    from flare_mesh.datasets.field_dataset import FieldDataset
    from flare_mesh.datasets.lpbf import LPBF
    from flare_mesh.datasets.mesh_folder import MeshFolder
    from flare_mesh.datasets.mesh_graph_nets import AirfoilFlow, CylinderFlow
    from flare_mesh.datasets.navier_stokes import NavierStokes
    from flare_mesh.datasets.pdebench import PDEBench
    from flare_mesh.datasets.pipe import Pipe
    from flare_mesh.datasets.plasticity import Plasticity
    from flare_mesh.datasets.point_folder import PointFolder
    from flare_mesh.datasets.shapenet_car import ShapeNetCar

__all__ = [
    "LPBF",
    "AirfRANS",
    "Airfoil",
    "AirfoilFlow",
    "CylinderFlow",
    "Darcy",
    "DrivAerML",
    "Elasticity",
    "FieldDataset",
    "MeshFolder",
    "NavierStokes",
    "PDEBench",
    "Pipe",
    "Plasticity",
    "PointFolder",
    "ShapeNetCar",
]

# Imported on first use: the generators' workers need neither PyG nor the readers.
__getattr__ = lazy_names(
    __name__,
    {
        "LPBF": "flare_mesh.datasets.lpbf",
        "AirfRANS": "flare_mesh.datasets.airfrans",
        "Airfoil": "flare_mesh.datasets.airfoil",
        "AirfoilFlow": "flare_mesh.datasets.mesh_graph_nets",
        "CylinderFlow": "flare_mesh.datasets.mesh_graph_nets",
        "Darcy": "flare_mesh.datasets.darcy",
        "DrivAerML": "flare_mesh.datasets.drivaerml",
        "Elasticity": "flare_mesh.datasets.elasticity",
        "FieldDataset": "flare_mesh.datasets.field_dataset",
        "MeshFolder": "flare_mesh.datasets.mesh_folder",
        "NavierStokes": "flare_mesh.datasets.navier_stokes",
        "PDEBench": "flare_mesh.datasets.pdebench",
        "Pipe": "flare_mesh.datasets.pipe",
        "Plasticity": "flare_mesh.datasets.plasticity",
        "PointFolder": "flare_mesh.datasets.point_folder",
        "ShapeNetCar": "flare_mesh.datasets.shapenet_car",
    },
)
