import numpy as np
import pytest

from flare_mesh.data import CELL_EDGES, CELL_NODES, edges_of_cells


@pytest.mark.parametrize("kind", CELL_NODES)
def test_tables(kind):
    edges = CELL_EDGES[kind]
    assert {node for edge in edges for node in edge} <= set(range(CELL_NODES[kind]))
    assert len({frozenset(edge) for edge in edges}) == len(edges)
    # Euler: nodes - edges + faces = 2 for solids, 1 for surfaces, which are their own face.
    faces = {"tetra": 4, "pyramid": 5, "wedge": 5, "hexahedron": 6, "triangle": 1, "quad": 1}
    if kind in faces:
        assert CELL_NODES[kind] - len(edges) + faces[kind] == (1 if faces[kind] == 1 else 2)


def test_edges_of_mixed_cells():
    cells = {"triangle": np.array([[0, 1, 2]]), "quad": np.array([[1, 3, 4, 2]])}
    edges = edges_of_cells(cells, 5)
    pairs = set(map(tuple, edges.T.tolist()))
    once = {(0, 1), (1, 2), (0, 2), (1, 3), (3, 4), (2, 4)}
    assert pairs == once | {(b, a) for a, b in once}
    assert edges.shape == (2, 12)
    assert edges_of_cells({}, 0).shape == (2, 0)
