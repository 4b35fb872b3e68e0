"""Transforms of meshes, as PyG transforms."""

from flare_mesh.data.transforms.build_features import BuildFeatures
from flare_mesh.data.transforms.random_nodes import RandomNodes
from flare_mesh.data.transforms.random_quarter_turn import RandomQuarterTurn

__all__ = ["BuildFeatures", "RandomNodes", "RandomQuarterTurn"]
