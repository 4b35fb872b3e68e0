"""Small batches and assertions for tests of models, ours and yours."""

from flare_mesh.testing.assertions import assert_graphs_independent, assert_permutation_equivariant
from flare_mesh.testing.graphs import random_graph

__all__ = ["assert_graphs_independent", "assert_permutation_equivariant", "random_graph"]
