"""Training on Lightning."""

from flare_mesh.training.fit import fit
from flare_mesh.training.metrics import relative_l2
from flare_mesh.training.module import FieldModule

__all__ = ["FieldModule", "fit", "relative_l2"]
