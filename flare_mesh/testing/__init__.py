"""Small batches, assertions and processes for tests of models, ours and yours."""

from typing import TYPE_CHECKING

from flare_mesh.lazy import lazy_names

if TYPE_CHECKING:
    from flare_mesh.testing.assertions import (
        assert_graphs_independent,
        assert_permutation_equivariant,
    )
    from flare_mesh.testing.cells import mixed_mesh, unit_mesh
    from flare_mesh.testing.distributed import run_processes
    from flare_mesh.testing.graphs import random_graph

__all__ = [
    "assert_graphs_independent",
    "assert_permutation_equivariant",
    "mixed_mesh",
    "random_graph",
    "run_processes",
    "unit_mesh",
]

# Imported on first use: the processes of a test should not all wait for PyG.
__getattr__ = lazy_names(
    __name__,
    {
        "assert_graphs_independent": "flare_mesh.testing.assertions",
        "assert_permutation_equivariant": "flare_mesh.testing.assertions",
        "mixed_mesh": "flare_mesh.testing.cells",
        "random_graph": "flare_mesh.testing.graphs",
        "run_processes": "flare_mesh.testing.distributed",
        "unit_mesh": "flare_mesh.testing.cells",
    },
)
