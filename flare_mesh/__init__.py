"""Learned fields on unstructured meshes, mixed at linear cost by FLARE attention."""

from typing import TYPE_CHECKING

from flare_mesh._version import __version__
from flare_mesh.models import FLAREOperator
from flare_mesh.nn import FLAREAttention
from flare_mesh.ops import flare_attention

if TYPE_CHECKING:
    from flare_mesh.data import MeshData


__all__ = ["FLAREAttention", "FLAREOperator", "MeshData", "__version__", "flare_attention"]


def __getattr__(name: str):
    # PyG takes longer to import than torch itself: only those who use MeshData pay for it.
    if name == "MeshData":
        from flare_mesh.data import MeshData

        return MeshData
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
