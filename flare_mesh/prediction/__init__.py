"""From mesh files or CAD parts to predicted fields."""

from typing import TYPE_CHECKING

from flare_mesh.lazy import lazy_names

if TYPE_CHECKING:
    from flare_mesh.prediction.parts import process_of
    from flare_mesh.prediction.predictor import OutsideTrainingRangeWarning, Predictor, predict
    from flare_mesh.prediction.result import Prediction

__all__ = ["OutsideTrainingRangeWarning", "Prediction", "Predictor", "predict", "process_of"]

# Imported on first use: training describes by this package how its meshes are read.
__getattr__ = lazy_names(
    __name__,
    {
        "OutsideTrainingRangeWarning": "flare_mesh.prediction.predictor",
        "Prediction": "flare_mesh.prediction.result",
        "Predictor": "flare_mesh.prediction.predictor",
        "predict": "flare_mesh.prediction.predictor",
        "process_of": "flare_mesh.prediction.parts",
    },
)
