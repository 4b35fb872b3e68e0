"""Models: (x, pos, batch) in, a field at each node out; one a file, one interface."""

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.flare_operator import FLAREOperator
from flare_mesh.models.registry import MODELS, build, load, model_options

__all__ = ["MODELS", "FLAREOperator", "FieldModel", "build", "load", "model_options"]
