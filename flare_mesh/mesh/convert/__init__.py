"""Conversions of meshes from and to meshio, PyVista and trimesh."""

from flare_mesh.mesh.convert.meshio_mesh import from_meshio, to_meshio
from flare_mesh.mesh.convert.pyvista_mesh import from_pyvista, from_vtk_arrays, to_pyvista
from flare_mesh.mesh.convert.trimesh_mesh import from_trimesh, to_trimesh
from flare_mesh.mesh.convert.wedges import orient_wedges

__all__ = [
    "from_meshio",
    "from_pyvista",
    "from_trimesh",
    "from_vtk_arrays",
    "orient_wedges",
    "to_meshio",
    "to_pyvista",
    "to_trimesh",
]
