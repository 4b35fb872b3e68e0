"""Models: (x, pos, batch) in, a field at each node out; one a file, one interface."""

from flare_mesh.models.ab_upt import ABUPT
from flare_mesh.models.backbone import Backbone
from flare_mesh.models.causal_lm import CausalLM
from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.flare_operator import FLAREOperator
from flare_mesh.models.geotransolver import GeoTransolver
from flare_mesh.models.gnot import GNOT
from flare_mesh.models.history import HistoryState
from flare_mesh.models.lamo import LaMO
from flare_mesh.models.lno import LNO
from flare_mesh.models.meshgraphnet import MeshGraphNet
from flare_mesh.models.perceiver_io import PerceiverIO
from flare_mesh.models.registry import MODELS, SEQUENCE_MODELS, build, load, model_options
from flare_mesh.models.sequence_model import SequenceModel
from flare_mesh.models.transformer import Transformer
from flare_mesh.models.transolver import Transolver
from flare_mesh.models.transolver_plus import TransolverPlus
from flare_mesh.models.upt import UPT

__all__ = [
    "ABUPT",
    "GNOT",
    "LNO",
    "MODELS",
    "SEQUENCE_MODELS",
    "UPT",
    "Backbone",
    "CausalLM",
    "FLAREOperator",
    "FieldModel",
    "GeoTransolver",
    "HistoryState",
    "LaMO",
    "MeshGraphNet",
    "PerceiverIO",
    "SequenceModel",
    "Transformer",
    "Transolver",
    "TransolverPlus",
    "build",
    "load",
    "model_options",
]
