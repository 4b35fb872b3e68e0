from .case_reader import CaseReader as CaseReader
from .case_reader import PredictionCase as PredictionCase
from .recipe import CaseRecipe as CaseRecipe
from .source_plugins import SourceError as SourceError
from .source_plugins import SourcePlugin as SourcePlugin
from .sources import MeshSource as MeshSource
from .sources import find_sources as find_sources
