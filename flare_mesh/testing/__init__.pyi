from .assertions import assert_graphs_independent as assert_graphs_independent
from .assertions import assert_permutation_equivariant as assert_permutation_equivariant
from .cells import mixed_mesh as mixed_mesh
from .cells import unit_mesh as unit_mesh
from .distributed import run_processes as run_processes
from .graphs import random_graph as random_graph
