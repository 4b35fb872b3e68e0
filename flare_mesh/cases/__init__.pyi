from .case_files import CaseFiles as CaseFiles
from .case_reader import CaseReader as CaseReader
from .case_reader import PredictionCase as PredictionCase
from .prediction_files import find_prediction_files as find_prediction_files
from .recipe import CaseRecipe as CaseRecipe
from .source_plugins import SourceError as SourceError
from .source_plugins import SourcePlugin as SourcePlugin
