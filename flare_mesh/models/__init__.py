"""Models: (x, pos, batch) in, a field at each node out; one a file, one interface."""

from flare_mesh.models.flare_operator import FLAREOperator
from flare_mesh.models.registry import build

__all__ = ["FLAREOperator", "build"]
