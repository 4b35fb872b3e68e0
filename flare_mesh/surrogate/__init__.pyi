from .export_metadata import read_metadata as read_metadata
from .load import load_surrogate as load_surrogate
from .rollout import Rollout as Rollout
from .surrogate import Surrogate as Surrogate
from .training_range import TrainingRange as TrainingRange
