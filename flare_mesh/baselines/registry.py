"""Baselines by name."""

from collections.abc import Callable

from flare_mesh.baselines.baseline import Baseline
from flare_mesh.baselines.nearest_case import NearestCase
from flare_mesh.baselines.nearest_nodes import NearestNodes
from flare_mesh.baselines.node_mlp import NodeMLP
from flare_mesh.baselines.ridge import Ridge
from flare_mesh.baselines.training_mean import TrainingMean

BASELINES: dict[str, Callable[..., Baseline]] = {
    "training_mean": TrainingMean,
    "nearest_case": NearestCase,
    "nearest_nodes": NearestNodes,
    "ridge": Ridge,
    "node_mlp": NodeMLP,
}
"""All baselines."""

CHEAP = ("training_mean", "nearest_case", "nearest_nodes", "ridge")
"""Baselines that need no training."""
