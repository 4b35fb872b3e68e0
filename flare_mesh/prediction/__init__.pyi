from .predictor import OutsideTrainingRangeWarning as OutsideTrainingRangeWarning
from .predictor import Predictor as Predictor
from .predictor import UnlikeTrainingCasesWarning as UnlikeTrainingCasesWarning
from .predictor import predict as predict
from .result import Prediction as Prediction
