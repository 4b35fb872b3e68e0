from .case_reader import CaseReader as CaseReader
from .case_reader import PredictionCase as PredictionCase
from .mesh_reading import MeshReading as MeshReading
from .sources import MeshSource as MeshSource
from .sources import find_sources as find_sources
