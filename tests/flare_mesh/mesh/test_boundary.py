from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.mesh.boundary import boundary_faces
from flare_mesh.mesh.cells import CELL_NODES, CELL_TYPES
from flare_mesh.mesh.normals import area_vectors
from flare_mesh.testing import mixed_mesh, unit_mesh

LINEAR = [kind for kind, cell in CELL_TYPES.items() if cell.order == 1 and cell.dim]


def by_sets(cells):
    """The corners of the faces that occur once, the slow way."""
    corners = [
        frozenset(int(row[i]) for i in places[: CELL_NODES[CELL_TYPES[face].linear]])
        for kind, nodes in cells.items()
        for row in nodes
        for face, places in CELL_TYPES[kind].faces
    ]
    return {face for face, count in Counter(corners).items() if count == 1}


def corner_sets(faces):
    return [
        frozenset(row[: CELL_NODES[CELL_TYPES[face].linear]].tolist())
        for face, nodes in faces.items()
        for row in nodes
    ]


@pytest.mark.parametrize("kind", [kind for kind in CELL_TYPES if kind != "vertex"])
def test_faces_and_their_owners(kind):
    _, cells = unit_mesh(kind)
    faces, owners = boundary_faces(cells)
    found = corner_sets(faces)
    assert len(set(found)) == len(found)
    assert set(found) == by_sets(cells)
    for face, nodes in faces.items():
        assert nodes.shape[1] == CELL_NODES[face]
        for row, owner in zip(nodes.tolist(), owners[face].tolist(), strict=True):
            assert set(row) <= set(cells[kind][owner].tolist())


@settings(deadline=None, max_examples=20, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), bits=st.integers(8, 60))
def test_any_part_of_a_mesh_under_any_numbers(seed, bits):
    rng = np.random.default_rng(seed)
    i = np.arange(64).reshape(4, 4, 4)
    corner = np.stack(np.meshgrid(*[range(3)] * 3, indexing="ij"), -1).reshape(-1, 1, 3)
    blocks = i[tuple(np.moveaxis(corner + np.array(CELL_TYPES["hexahedron"].reference), -1, 0))]
    six = unit_mesh("tetra")[1]["tetra"].numpy()
    solid = rng.permutation(blocks)[: rng.integers(1, 27)]
    tetra = rng.permutation(blocks[:, six].reshape(-1, 4))[: rng.integers(1, 99)]
    numbers = rng.choice(2**bits, 64, replace=False)
    for cells in ({"hexahedron": solid}, {"tetra": tetra}):
        cells = {kind: torch.from_numpy(numbers[nodes]) for kind, nodes in cells.items()}
        found = corner_sets(boundary_faces(cells).faces)
        assert len(set(found)) == len(found)
        assert set(found) == by_sets(cells)


@pytest.mark.parametrize("bits", [8, 20, 40])
def test_faces_that_differ_in_a_single_corner(bits):
    rng = np.random.default_rng(0)
    numbers = rng.choice(2**bits, 10, replace=False)
    nodes = torch.from_numpy(np.stack([rng.choice(numbers, 8, replace=False) for _ in range(40)]))
    cells = {"hexahedron": nodes, "wedge": nodes.flip(0)[:, :6]}
    found = corner_sets(boundary_faces(cells).faces)
    assert len(set(found)) == len(found) > 0
    assert set(found) == by_sets(cells)


def test_in_the_order_of_the_cells():
    _, cells = unit_mesh("hexahedron")
    faces, owners = boundary_faces(cells)
    assert owners["quad"].tolist() == [0] * 5 + [1] * 5
    expected = [cells["hexahedron"][0][list(nodes)] for _, nodes in CELL_TYPES["hexahedron"].faces]
    assert torch.equal(faces["quad"][:5], torch.stack(expected[:5]))


@pytest.mark.parametrize("order", [1, 2])
def test_mixed_mesh_is_watertight(order):
    pos, cells = mixed_mesh(order)
    faces, owners = boundary_faces(cells)
    kinds = ("quad", "triangle") if order == 1 else ("quad8", "triangle6")
    assert {face: len(nodes) for face, nodes in faces.items()} == dict(
        zip(kinds, (6, 8), strict=True)
    )
    assert Counter(torch.cat(list(owners.values())).tolist()) == {0: 4, 1: 4, 2: 3, 3: 3}
    # Each line of a closed surface is passed once either way.
    lines = Counter(
        pair
        for face, nodes in faces.items()
        for row in nodes.tolist()
        for pair in [(row[a], row[b]) for a, b in CELL_TYPES[CELL_TYPES[face].linear].edges]
    )
    assert all(lines[b, a] == count == 1 for (a, b), count in lines.items())
    total = sum(vectors.sum(0) for vectors in area_vectors(pos, faces).values())
    torch.testing.assert_close(total, torch.zeros(3).double())


@pytest.mark.parametrize("kind", LINEAR)
def test_the_boundary_of_the_boundary_is_empty(kind):
    faces = boundary_faces(unit_mesh(kind)[1]).faces
    if CELL_TYPES[kind].dim > 1:
        assert boundary_faces(faces) == ({}, {})


def test_neighbours_of_another_order():
    _, cells = unit_mesh("tetra10")
    split = {"tetra10": cells["tetra10"][:3], "tetra": cells["tetra10"][3:, :4]}
    faces, owners = boundary_faces(split)
    assert {face: len(nodes) for face, nodes in faces.items()} == {"triangle6": 6, "triangle": 6}
    assert set(owners["triangle6"].tolist()) == {0, 1, 2}
    assert set(owners["triangle"].tolist()) == {3, 4, 5}


def test_only_the_highest_dimension_counts_but_all_rows_do():
    _, cells = unit_mesh("wedge")
    faces, owners = boundary_faces(cells)
    more = {
        "triangle": torch.tensor([[0, 1, 2], [4, 5, 6]]),
        **cells,
        "line": torch.tensor([[0, 1]]),
    }
    faces_too, owners_too = boundary_faces(more)
    assert all(torch.equal(faces_too[face], nodes) for face, nodes in faces.items())
    assert all(torch.equal(owners_too[face], rows + 2) for face, rows in owners.items())


def test_collapsed_cells():
    # A brick collapsed to a wedge, between wedges on all its three sides.
    brick = torch.tensor([[0, 1, 2, 2, 4, 5, 6, 6]])
    cells = {"hexahedron": brick, "wedge": torch.tensor([[0, 2, 3, 4, 6, 7]])}
    faces = boundary_faces(cells).faces
    assert set(corner_sets(faces)) == {
        *map(frozenset, ([0, 1, 2], [4, 5, 6], [0, 1, 5, 4], [1, 2, 6, 5])),
        *map(frozenset, ([0, 2, 3], [4, 6, 7], [2, 3, 7, 6], [3, 0, 4, 7])),
    }
    below = {**cells, "tetra": torch.tensor([[0, 2, 1, 8]])}
    assert frozenset([0, 1, 2]) not in corner_sets(boundary_faces(below).faces)


def test_ends_of_lines_and_meshes_without_faces():
    ends = boundary_faces({"line3": torch.tensor([[5, 2, 9], [2, 7, 1]])})
    assert ends.faces["vertex"].tolist() == [[5], [7]]
    assert ends.owners["vertex"].tolist() == [0, 1]
    assert boundary_faces({"vertex": torch.tensor([[0]])}) == ({}, {})


def test_errors():
    with pytest.raises(ValueError, match="expected a mesh with cells"):
        boundary_faces({})
    with pytest.raises(ValueError, match=r"in 'triangle' \(got -1 to 2\)"):
        boundary_faces({"triangle": torch.tensor([[-1, 1, 2]])})
