from .mesh_formats import check_writable as check_writable
from .mesh_io import read_mesh as read_mesh
from .mesh_io import write_mesh as write_mesh
