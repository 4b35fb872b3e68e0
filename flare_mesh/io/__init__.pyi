from .mesh_formats import check_writable as check_writable
from .mesh_reading import read_mesh as read_mesh
from .mesh_writing import write_mesh as write_mesh
