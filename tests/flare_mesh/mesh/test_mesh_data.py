import copy
import pickle

import meshio
import numpy as np
import pytest
import pyvista
import torch
import trimesh
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data
from torch_geometric.loader import DataLoader, DynamicBatchSampler

from flare_mesh import MeshData
from flare_mesh.io import read_mesh, write_mesh
from flare_mesh.mesh.cells import CELL_TYPES
from lpbf import HexMesh


def block(nx, ny, nz):
    mesh = HexMesh.from_mask(np.ones((nx, ny, nz)), 1.0)
    data = MeshData(
        pos=torch.from_numpy(mesh.points).float(),
        edge_index=torch.from_numpy(mesh.edge_index),
        hexahedron=torch.from_numpy(mesh.cells),
    )
    data.height = data.pos[:, 2:].clone()
    return data


@st.composite
def meshes(draw, min_cells=0):
    """Any mix of cells in any order, not a sensible geometry, with fields on nodes and cells."""
    nodes = draw(st.integers(27, 40))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 1000)))
    data = MeshData(torch.randn(nodes, 3, generator=generator))
    kinds = draw(st.lists(st.sampled_from(sorted(CELL_TYPES)), min_size=min_cells, max_size=8))
    parts = [
        MeshData(
            **{kind: torch.randperm(nodes, generator=generator)[None, : CELL_TYPES[kind].num_nodes]}
        )
        for kind in kinds
    ]
    if parts:
        data.cell_index = torch.cat([part.cell_index for part in parts])
        data.cell_type = torch.cat([part.cell_type for part in parts])
    data.u = torch.randn(nodes, 2, generator=generator)
    data.cell_stress = torch.randn(len(kinds), 6, generator=generator)
    data.load = torch.randn(1, 1, generator=generator)
    data.units = {"u": "mm", "stress": "MPa"}
    return data


def same(one, other):
    assert set(one.keys()) == set(other.keys())
    for key, value in one.to_dict().items():
        if isinstance(value, torch.Tensor):
            assert torch.equal(value, other[key]), key
            assert value.dtype == other[key].dtype
        else:
            assert value == other[key]


@given(st.lists(meshes(), min_size=1, max_size=4))
@settings(deadline=None, max_examples=30)
def test_batches_split_back(graphs):
    batch = Batch.from_data_list(graphs)
    assert batch.num_cells == sum(graph.num_cells for graph in graphs)
    for number, graph in enumerate(graphs):
        same(graph, batch[number])
        # A cell of the batch names its own nodes.
        offset = int(batch.ptr[number])
        for kind, nodes in graph.cells.items():
            assert bool((batch.cells[kind][:, None] == nodes + offset).all(-1).any(0).all())
    for graph, again in zip(graphs, batch.to_data_list(), strict=True):
        same(graph, again)
    assert batch.units == graphs[0].units


@given(meshes())
@settings(deadline=None, max_examples=30)
def test_copies(data):
    for again in (copy.copy(data), data.clone(), pickle.loads(pickle.dumps(data)), data.to("cpu")):
        assert type(again) is MeshData
        same(data, again)
        assert again.cells.keys() == data.cells.keys()


@given(meshes(min_cells=1).filter(lambda data: not {"pyramid13", "wedge15"} & {*data.cells}))
@settings(deadline=None, max_examples=30)
def test_meshio_round_trip(data):
    del data.load  # meshio has no such thing
    same(data, with_units(MeshData.from_meshio(data.to_meshio(), edges=False), data))


@given(meshes(min_cells=1).filter(lambda data: "pyramid14" not in data.cells))
@settings(deadline=None, max_examples=30)
def test_pyvista_round_trip(data):
    same(data, with_units(MeshData.from_pyvista(data.to_pyvista(), edges=False), data))


def with_units(again, data):
    again.units = data.units
    return again


@pytest.mark.parametrize("suffix", [".vtu", ".vtk"])
def test_file_round_trip(tmp_path, suffix):
    data = block(2, 1, 1)
    data.cell_stress = torch.randn(2, 6)
    write_mesh(tmp_path / f"m{suffix}", data, error=torch.arange(12.0))
    again = read_mesh(tmp_path / f"m{suffix}")
    if suffix == ".vtu":  # another reader, for once
        other = MeshData.from_meshio(meshio.read(tmp_path / "m.vtu"))
        assert torch.equal(other.cell_stress, data.cell_stress)
    assert torch.equal(again.pos, data.pos)
    assert torch.equal(again.hexahedron, data.hexahedron)
    assert torch.equal(again.height.view(-1), data.height.view(-1))
    assert torch.equal(again.cell_stress, data.cell_stress)
    assert torch.equal(again.error, torch.arange(12.0))
    assert set(map(tuple, again.edge_index.T.tolist())) == set(
        map(tuple, data.edge_index.T.tolist())
    )


@pytest.mark.parametrize("kind", [kind for kind in CELL_TYPES if kind != "pyramid14"])
def test_every_cell_type_goes_through_a_file(tmp_path, kind):
    reference = torch.tensor(CELL_TYPES[kind].reference, dtype=torch.float)
    order = torch.randperm(len(reference))
    pos = torch.zeros(len(reference), 3)
    pos[order, : reference.shape[1]] = reference
    data = MeshData(pos, **{kind: order[None]})
    write_mesh(tmp_path / "m.vtu", data)
    again = read_mesh(tmp_path / "m.vtu")
    assert torch.equal(again[kind], order[None])
    assert torch.equal(again.measures, data.measures)


def test_trimesh_round_trip():
    surface = trimesh.creation.icosphere(subdivisions=1)
    surface.vertex_attributes["u"] = np.arange(42.0)
    surface.face_attributes["p"] = np.arange(80.0)
    data = MeshData.from_trimesh(surface, dtype=None)
    again = data.to_trimesh()
    np.testing.assert_array_equal(again.vertices, surface.vertices)
    np.testing.assert_array_equal(again.faces, surface.faces)
    np.testing.assert_array_equal(again.vertex_attributes["u"], np.arange(42.0))
    np.testing.assert_array_equal(again.face_attributes["p"], np.arange(80.0))
    with pytest.raises(ValueError, match=r"mesh of triangles \(got \['hexahedron'\]\)"):
        block(1, 1, 1).to_trimesh()


def test_pixels_voxels_and_polygons_become_usual_cells():
    flat = MeshData.from_pyvista(pyvista.ImageData(dimensions=(3, 2, 1)))
    assert flat.quad.tolist() == [[0, 1, 4, 3], [1, 2, 5, 4]]
    solid = MeshData.from_pyvista(pyvista.ImageData(dimensions=(2, 2, 2)))
    assert solid.hexahedron.tolist() == [[0, 1, 3, 2, 4, 5, 7, 6]]
    polygons = pyvista.PolyData(
        np.random.default_rng(0).random((5, 3)), [3, 0, 1, 2, 4, 1, 2, 3, 4]
    )
    assert {k: v.tolist() for k, v in MeshData.from_pyvista(polygons).cells.items()} == {
        "triangle": [[0, 1, 2]],
        "quad": [[1, 2, 3, 4]],
    }
    larger = pyvista.PolyData(np.random.default_rng(0).random((5, 3)), [5, 0, 1, 2, 3, 4])
    with pytest.raises(ValueError, match="polygons with more than four corners .*; triangulate"):
        MeshData.from_pyvista(larger)


def test_names_that_pyg_mistakes_for_node_numbers():
    data = block(1, 1, 1)
    data.refractive_index = torch.ones(8)
    data.part_batch = torch.arange(8)
    data.normal_index = torch.ones(8, 3)
    data.cell_part_index = torch.tensor([1])
    data.load_index = torch.tensor([[2.0, 3.0]])
    batch = Batch.from_data_list([data, data])
    assert torch.equal(batch.refractive_index, torch.ones(16))
    assert torch.equal(batch.part_batch, torch.arange(8).repeat(2))
    assert batch.normal_index.shape == (16, 3)
    assert batch.cell_part_index.tolist() == [1, 1]
    assert batch.load_index.tolist() == [[2.0, 3.0]] * 2
    assert list(batch.case_fields) == ["load_index"]
    for again in batch.to_data_list():
        same(data, again)


def test_meshes_with_other_fields_do_not_batch():
    one, other = block(1, 1, 1), block(1, 1, 1)
    one.temperature = torch.zeros(8)
    one.units = {"temperature": "C"}
    with pytest.raises(KeyError, match="temperature .*the meshes of a batch need the same fields"):
        Batch.from_data_list([one, other])
    other.temperature = torch.zeros(8)
    assert Batch.from_data_list([one, other]).units == {"temperature": "C"}


def test_save_keeps_everything_or_refuses(tmp_path):
    data = block(1, 1, 1)
    data.tensor = torch.randn(8, 3, 3)
    data.cell_flag = torch.tensor([True])
    data.load = torch.tensor([[1.0, 2.0]])
    data.units = {"tensor": "MPa", "load": "N"}
    for suffix in (".vtu", ".vtk"):
        write_mesh(tmp_path / f"m{suffix}", data)
        again = read_mesh(tmp_path / f"m{suffix}")
        assert torch.equal(again.tensor, data.tensor.view(8, 9))
        assert again.cell_flag.tolist() == [1]
        assert torch.equal(again.load, data.load)
        assert again.units == data.units
    with pytest.raises(ValueError, match=r"m\.xdmf: cannot hold fields of the whole case \(load"):
        write_mesh(tmp_path / "m.xdmf", data)
    with pytest.raises(ValueError, match=r"expected 8 rows of 'p' \(got \[5\]\)"):
        write_mesh(tmp_path / "n.vtu", data, p=torch.rand(5))
    for name in ("a<b", 'a"b', "a\nb", ""):
        with pytest.raises(ValueError, match=r"n\.vtk: expected a field name"):
            write_mesh(tmp_path / "n.vtk", data, **{name: torch.rand(8)})
    with pytest.raises(ValueError, match="at least one channel of the field 'none'"):
        write_mesh(tmp_path / "n.vtu", data, none=torch.rand(8, 0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.vtk", "m.vtu"]


def test_mesh_without_cells():
    data = MeshData(torch.zeros(3, 3))
    assert data.measures.shape == (0,)
    assert data.centroids.shape == (0, 3)
    data.triangle = torch.tensor([[0, 1, 3]])
    with pytest.raises(ValueError, match="from 0 to 2 in 'triangle'"):
        data.edges()


@pytest.mark.parametrize("name", ["type", "index"])
def test_cell_fields_do_not_replace_the_cells(name):
    grid = pyvista.ImageData(dimensions=(2, 2, 2))
    grid.cell_data[name] = [10]
    with pytest.raises(ValueError, match=f"'{name}' is reserved; rename that cell field, or name"):
        MeshData.from_pyvista(grid)
    assert MeshData.from_pyvista(grid, fields=[]).hexahedron.shape == (1, 8)


def test_field_data_belongs_to_the_case():
    grid = pyvista.ImageData(dimensions=(3, 2, 1))
    grid.field_data["load"] = [3.0, 4.0]
    grid.field_data["name"] = ["no number"]
    data = MeshData.from_pyvista(grid)
    assert {k: v.tolist() for k, v in data.case_fields.items()} == {"load": [[3.0, 4.0]]}
    assert data.to_pyvista().field_data["load"].tolist() == [3.0, 4.0]


def test_types_of_one_mesh():
    data = MeshData(torch.zeros(6, 3), quad=torch.tensor([[0, 1, 4, 3]]))
    data.triangle = torch.tensor([[1, 2, 4]])
    assert "quad" in data
    assert "tetra" not in data
    assert data.cell_index.tolist() == [0, 1, 4, 3, 1, 2, 4]
    data["quad"] = None
    assert list(data.cells) == ["triangle"]
    del data["triangle"]
    assert data.num_cells == 0
    with pytest.raises(AttributeError, match="hexahedron"):
        _ = data.hexahedron
    with pytest.raises(ValueError, match=r"'tetra' as integers of shape \[cells, 4\] \(got \[1, 3"):
        data.tetra = torch.zeros(1, 3, dtype=torch.long)
    data.triangle = torch.tensor([[1, 2, 4]])
    data.cell_p = torch.zeros(1)
    with pytest.raises(ValueError, match=r"'quad' cannot be set while there are cell fields"):
        data.quad = torch.tensor([[0, 1, 4, 3]])


def test_cells_are_no_node_field_even_if_as_many():
    data = MeshData(
        pos=torch.zeros(4, 3),
        line=torch.zeros(4, 2, dtype=torch.long),
        u=torch.ones(4),
        cell_v=torch.ones(4),
    )
    assert not any(data.is_node_attr(key) for key in ("line", "cell_v", "cell_type"))
    assert data.is_node_attr("u")
    assert (list(data.node_fields), list(data.cell_fields)) == (["u"], ["v"])
    assert list(data.cells) == ["line"]


def test_subgraph_keeps_the_cells_within():
    data = block(3, 1, 1)
    data.cell_number = torch.arange(3)
    part = data.subgraph(torch.cat([data.hexahedron[2], data.hexahedron[1]]).unique())
    assert part.cell_number.tolist() == [1, 2]
    assert torch.equal(part.pos[part.hexahedron], data.pos[data.hexahedron[1:]])
    assert torch.equal(part.height, part.pos[:, 2:])
    mask = torch.zeros(len(data.pos), dtype=torch.bool)
    mask[data.hexahedron[1]] = True
    assert torch.equal(data.subgraph(mask).cell_number, torch.tensor([1]))


def test_plain_graph():
    graph = block(2, 1, 1).to_graph()
    assert type(graph) is Data
    assert sorted(graph.keys()) == ["edge_index", "height", "pos"]


def test_loaders():
    data = [block(n, 1, 1) for n in (1, 2, 3, 4)]
    sampler = DynamicBatchSampler(data, max_num=28, mode="node")
    batches = [batch for batch in DataLoader(data, batch_sampler=sampler)]  # noqa: C416 (no length)
    assert sum(batch.num_graphs for batch in batches) == 4
    for batch in batches:
        volume = batch.pos[batch.hexahedron].amax(1) - batch.pos[batch.hexahedron].amin(1)
        assert bool((volume == 1).all())


MIXED = MeshData(torch.tensor([[0, 0], [1, 0], [1, 1], [0, 1], [3, 0]]).float())
MIXED.cell_index = torch.tensor([1, 4, 2, 0, 1, 2, 3, 0, 1, 2, 0, 2, 3])
MIXED.cell_type = torch.tensor([5, 9, 5, 5], dtype=torch.uint8)


def test_geometry_in_the_order_of_the_cells():
    assert MIXED.measures.tolist() == [1.0, 1.0, 0.5, 0.5]
    assert MIXED.centroids[:2].tolist() == [pytest.approx([5 / 3, 1 / 3]), [0.5, 0.5]]
    values = MIXED.node_to_cell(MIXED.pos[:, 0])
    torch.testing.assert_close(values, MIXED.centroids[:, 0])
    # The corner at (3, 0) belongs to the first cell only.
    assert MIXED.cell_to_node(torch.tensor([7.0, 1, 1, 1]))[4] == 7.0


def test_weights_normals_and_boundary():
    data = block(2, 2, 1)
    assert float(data.quadrature_weights.sum()) == pytest.approx(4.0)
    surface = data.boundary()
    assert surface.quad.shape == (16, 4)
    assert float(surface.measures.sum()) == pytest.approx(16.0)
    assert torch.equal(surface.pos, data.pos[surface.n_id])
    assert torch.equal(surface.height, data.height[surface.n_id])
    owners = data.pos[data.hexahedron[surface.cell_owner]].mean(1)
    outward = surface.centroids - owners
    torch.testing.assert_close(outward.norm(dim=1), torch.full((16,), 0.5))
    top = data.pos[:, 2] == 1
    middle = top & (data.pos[:, :2] == 1).all(1)
    assert data.node_normals[middle].tolist() == [[0, 0, 1]]
    torch.testing.assert_close(surface.node_normals, data.node_normals[surface.n_id])


def test_check():
    data = block(1, 1, 1)
    assert data.check() is data
    data.hexahedron = data.hexahedron[:, [4, 5, 6, 7, 0, 1, 2, 3]]
    with pytest.raises(ValueError, match="1 of 1 cells of 'hexahedron' .* inverted"):
        data.check()


def test_flat_points_get_a_third_coordinate():
    mesh = meshio.Mesh(np.eye(3, 2), [("triangle", [[0, 1, 2]])])
    assert MeshData.from_meshio(mesh).pos.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_sets_become_fields():
    mesh = meshio.Mesh(
        np.eye(4, 3),
        [("triangle", [[0, 1, 2], [1, 2, 3]]), ("line", [[0, 1]])],
        point_sets={"fixed": [1, 3]},
        cell_sets={"left": [[1], [0]]},
    )
    data = MeshData.from_meshio(mesh)
    assert data.fixed.tolist() == [0, 1, 0, 1]
    assert data.cell_left.tolist() == [0, 1, 1]


def test_unknown_cells():
    mesh = meshio.Mesh(np.zeros((10, 3)), [("triangle10", [list(range(10))])])
    with pytest.raises(ValueError, match=r"type \['triangle10'\] are not supported"):
        MeshData.from_meshio(mesh)


@pytest.mark.parametrize(
    ("points", "cell", "fields", "message"),
    [
        (np.full((3, 3), np.nan), [0, 1, 2], {}, "NaN or infinite ones at 3 of 3 nodes"),
        (np.full((3, 3), 1e300), [0, 1, 2], {}, "NaN or infinite ones at 3 of 3 nodes"),
        (np.eye(3), [0, 1, 3], {}, r"from 0 to 2 in 'cells' \(got 0 to 3\)"),
        (np.eye(3), [0, 1, -1], {}, r"in 'cells' \(got -1 to 1\)"),
        (np.eye(3), [0, 1, 2], {"pos": np.zeros((3, 3))}, "field name 'pos' is reserved"),
        (np.eye(3), [0, 1, 2], {"batch": np.zeros(3)}, "field name 'batch' is reserved"),
        (np.eye(3), [0, 1, 2], {"cell_u": np.zeros(3)}, "field name 'cell_u' is reserved"),
        (np.eye(3), [0, 1, 2], {"t": np.array(["a", "b", "c"])}, "expected numbers"),
    ],
)
def test_bad_meshes(points, cell, fields, message):
    mesh = meshio.Mesh(points, [("triangle", [cell])], point_data=fields)
    with pytest.raises(ValueError, match=message):
        MeshData.from_meshio(mesh)


@pytest.mark.parametrize("text", [b"[" * 100_000, b"3", b"{", b""])
def test_units_of_a_hostile_file_are_left_out(text):
    grid = pyvista.PolyData(np.eye(3)).cast_to_unstructured_grid()
    grid.field_data["field_units"] = np.frombuffer(text or b" ", np.uint8)
    assert MeshData.from_pyvista(grid).units == {}
