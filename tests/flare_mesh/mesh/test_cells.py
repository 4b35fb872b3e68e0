import numpy as np
import pytest
from vtkmodules.vtkCommonDataModel import vtkGenericCell

from flare_mesh.mesh import CELL_EDGES, CELL_NODES, edges_of_cells
from flare_mesh.mesh.cells import CELL_TYPES, check_cells, reflected_order

VTK_TYPES = {
    **{"vertex": 1, "line": 3, "triangle": 5, "quad": 9, "tetra": 10, "hexahedron": 12},
    **{"wedge": 13, "pyramid": 14, "line3": 21, "triangle6": 22, "quad8": 23, "tetra10": 24},
    **{"hexahedron20": 25, "wedge15": 26, "pyramid13": 27, "quad9": 28, "hexahedron27": 29},
    **{"wedge18": 32},
}
NAMES = {code: name for name, code in VTK_TYPES.items()}


def vtk_cell(kind):
    cell = vtkGenericCell()
    cell.SetCellType(VTK_TYPES[kind])
    for node in range(cell.GetNumberOfPoints()):
        cell.GetPointIds().SetId(node, node)
    return cell


def nodes_of(cell):
    return tuple(cell.GetPointId(i) for i in range(cell.GetNumberOfPoints()))


def test_every_type_is_checked_against_vtk():
    assert set(CELL_TYPES) == {*VTK_TYPES, "pyramid14"}


@pytest.mark.parametrize("kind", VTK_TYPES)
def test_nodes_as_in_vtk(kind):
    cell, ours = vtk_cell(kind), CELL_TYPES[kind]
    assert (ours.name, ours.num_nodes, ours.dim) == (
        kind,
        cell.GetNumberOfPoints(),
        cell.GetCellDimension(),
    )
    assert ours.order == (1 if cell.IsLinear() else 2)
    if ours.dim:
        coordinates = np.array(cell.GetParametricCoords() or ()).reshape(-1, 3)
        if kind == "pyramid13":
            # VTK's coordinates are those of a cube whose top is one point.
            coordinates[:, :2] *= 1 - coordinates[:, 2:]
        np.testing.assert_array_equal(np.array(ours.reference), coordinates[:, : ours.dim])


@pytest.mark.parametrize("kind", VTK_TYPES)
def test_edges_as_in_vtk(kind):
    cell, ours = vtk_cell(kind), CELL_TYPES[kind]
    theirs = [nodes_of(cell.GetEdge(i)) for i in range(cell.GetNumberOfEdges())]
    if ours.dim == 1:
        theirs = [nodes_of(cell)]
    pairs = set()
    for a, b, *middle in theirs:
        pairs |= (
            {frozenset((a, *middle)), frozenset((b, *middle))} if middle else {frozenset((a, b))}
        )
    on_edges = {node for edge in theirs for node in edge}
    assert {frozenset(edge) for edge in ours.edges if set(edge) <= on_edges} == pairs


@pytest.mark.parametrize("kind", VTK_TYPES)
def test_faces_as_in_vtk(kind):
    cell, ours = vtk_cell(kind), CELL_TYPES[kind]
    if ours.dim > 1:
        get, count = (
            (cell.GetFace, cell.GetNumberOfFaces())
            if ours.dim == 3
            else (cell.GetEdge, cell.GetNumberOfEdges())
        )
        faces = map(get, range(count))  # one at a time: VTK reuses the object
        assert ours.faces == tuple((NAMES[face.GetCellType()], nodes_of(face)) for face in faces)
    elif ours.dim == 1:
        assert ours.faces == (("vertex", (0,)), ("vertex", (1,)))


def test_pyramid14_is_pyramid13_and_the_middle_of_its_base():
    less, more = CELL_TYPES["pyramid13"], CELL_TYPES["pyramid14"]
    assert more.reference == (*less.reference, (0.5, 0.5, 0.0))
    assert more.faces == (("quad9", (*less.faces[0][1], 13)), *less.faces[1:])
    assert set(more.edges) == {*less.edges, (5, 13), (6, 13), (7, 13), (8, 13)}


@pytest.mark.parametrize("kind", CELL_TYPES)
def test_graph_of_a_cell(kind):
    cell = CELL_TYPES[kind]
    assert len({frozenset(edge) for edge in cell.edges}) == len(cell.edges)
    reached = {0}
    for _ in range(cell.num_nodes):
        reached |= {node for edge in cell.edges if reached & {*edge} for node in edge}
    assert reached == set(range(cell.num_nodes))


@pytest.mark.parametrize("kind", CELL_TYPES)
def test_faces_point_outward_and_have_their_types_nodes(kind):
    cell = CELL_TYPES[kind]
    reference = np.array(cell.reference)
    for face_kind, nodes in cell.faces:
        face = CELL_TYPES[face_kind]
        assert (face.num_nodes, face.dim) == (len(nodes), cell.dim - 1)
        if face.dim == 0:
            continue
        # A face's middle nodes lie where its own table says.
        corners = reference[list(nodes[: CELL_NODES[face.linear]])]
        origin, axes = corners[0], corners[[1, -1] if face.dim == 2 else [1]] - corners[0]
        np.testing.assert_allclose(reference[list(nodes)], origin + np.array(face.reference) @ axes)
        sides = reference[list(nodes)].mean(0) - reference.mean(0)
        if face.dim == 2:
            assert np.cross(*axes) @ sides > 0
        else:
            assert axes[0, 1] * sides[0] - axes[0, 0] * sides[1] > 0


@pytest.mark.parametrize("kind", CELL_TYPES)
def test_tables(kind):
    cell = CELL_TYPES[kind]
    assert CELL_NODES[kind] == cell.num_nodes == len(cell.reference)
    assert CELL_EDGES[kind] == cell.edges
    # Euler: nodes - edges + faces = 2 for solids, 1 for surfaces, which are their own face.
    linear = CELL_TYPES[cell.linear]
    if cell.dim > 1:
        faces = len(linear.faces) if cell.dim == 3 else 1
        assert linear.num_nodes - len(linear.edges) + faces == (2 if cell.dim == 3 else 1)


def test_edges_of_mixed_cells():
    cells = {"triangle": np.array([[0, 1, 2]]), "quad": np.array([[1, 3, 4, 2]])}
    edges = edges_of_cells(cells, 5)
    pairs = set(map(tuple, edges.T.tolist()))
    once = {(0, 1), (1, 2), (0, 2), (1, 3), (3, 4), (2, 4)}
    assert pairs == once | {(b, a) for a, b in once}
    assert edges.shape == (2, 12)
    assert edges_of_cells({}, 0).shape == (2, 0)
    assert edges_of_cells({"vertex": np.array([[0]])}, 1).shape == (2, 0)


def test_edges_of_many_cells_are_those_of_sets():
    rng = np.random.default_rng(0)
    cells = {kind: rng.integers(0, 40, (9, CELL_NODES[kind])) for kind in CELL_TYPES}
    edges = edges_of_cells(cells, 40)
    pairs = {
        (int(a), int(b))
        for kind, nodes in cells.items()
        for i, j in CELL_EDGES[kind]
        for a, b in [*nodes[:, [i, j]], *nodes[:, [j, i]]]
        if a != b
    }
    assert edges.shape == (2, len(pairs))
    assert set(map(tuple, edges.T.tolist())) == pairs


def test_check_cells():
    good = {"triangle": np.array([[0, 1, 2]]), "line": np.empty((0, 2), dtype=np.int32)}
    check_cells(good, 3)
    with pytest.raises(ValueError, match="type 'tri' are not supported; expected one of vertex"):
        check_cells({"tri": np.array([[0, 1, 2]])}, 3)
    with pytest.raises(ValueError, match=r"integers of shape \[cells, 3\] \(got \[1, 2\]"):
        check_cells({"triangle": np.array([[0, 1]])}, 3)
    with pytest.raises(ValueError, match=r"got \[1, 3\] of float64"):
        check_cells({"triangle": np.array([[0.0, 1.0, 2.0]])}, 3)
    with pytest.raises(ValueError, match=r"from 0 to 1 in 'triangle' \(got 0 to 2\)"):
        check_cells(good, 2)


def test_reflected_orders_of_the_first_order():
    assert reflected_order("triangle") == (0, 2, 1)
    assert reflected_order("quad") == (0, 3, 2, 1)
    assert reflected_order("tetra") == (0, 2, 1, 3)
    assert reflected_order("hexahedron") == (0, 3, 2, 1, 4, 7, 6, 5)
    assert reflected_order("wedge") == (0, 2, 1, 3, 5, 4)
    assert reflected_order("pyramid") == (0, 3, 2, 1, 4)
    assert reflected_order("line3") == (1, 0, 2)
    assert reflected_order("vertex") == (0,)


@pytest.mark.parametrize("kind", CELL_TYPES)
def test_reflected_cells_have_the_same_edges_and_reversed_faces(kind):
    cell, order = CELL_TYPES[kind], reflected_order(kind)
    assert sorted(order) == list(range(cell.num_nodes))
    edges = {frozenset(edge) for edge in cell.edges}
    assert {frozenset(order[i] for i in edge) for edge in edges} == edges
    corners = {"line": 2, "line3": 2, "vertex": 1}

    def rings(faces):
        out = set()
        for name, nodes in faces:
            ring = nodes[: corners.get(name, 4 if "quad" in name else 3)]
            first = ring.index(min(ring))
            out.add(ring[first:] + ring[:first])
        return out

    if cell.dim > 1:
        new = rings((name, tuple(order[i] for i in nodes)) for name, nodes in cell.faces)
        assert new == {ring[:1] + ring[:0:-1] for ring in rings(cell.faces)}
