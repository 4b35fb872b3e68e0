"""Learned fields on unstructured meshes, mixed at linear cost by FLARE attention."""

from typing import TYPE_CHECKING

from flare_mesh._version import __version__
from flare_mesh.lazy import lazy_names

if TYPE_CHECKING:
    from flare_mesh.data import MeshData
    from flare_mesh.models import FLAREOperator
    from flare_mesh.nn import FLAREAttention
    from flare_mesh.ops import flare_attention, flare_decode, flare_encode
    from flare_mesh.prediction import predict
    from flare_mesh.surrogate import Surrogate

__all__ = [
    "FLAREAttention",
    "FLAREOperator",
    "MeshData",
    "Surrogate",
    "__version__",
    "flare_attention",
    "flare_decode",
    "flare_encode",
    "predict",
]

# Imported on first use: the simulator needs no network, and PyG takes longer than torch itself.
__getattr__ = lazy_names(
    __name__,
    {
        "FLAREAttention": "flare_mesh.nn",
        "FLAREOperator": "flare_mesh.models",
        "MeshData": "flare_mesh.data",
        "Surrogate": "flare_mesh.surrogate",
        "flare_attention": "flare_mesh.ops",
        "flare_decode": "flare_mesh.ops",
        "flare_encode": "flare_mesh.ops",
        "predict": "flare_mesh.prediction",
    },
)
