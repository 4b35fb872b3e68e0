from .mesh_file_warning import MeshFileWarning as MeshFileWarning
from .mesh_formats import check_writable as check_writable
from .mesh_reading import read_mesh as read_mesh
from .mesh_writing import write_mesh as write_mesh
from .time_steps import mesh_times as mesh_times
