import meshio
import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from flare_mesh import MeshData
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


def test_cells_keep_pointing_at_their_nodes_in_a_batch():
    graphs = [block(1, 1, 1), block(2, 1, 3), block(1, 2, 1)]
    batch = Batch.from_data_list(graphs)
    assert batch.hexahedron.shape == (1 + 6 + 2, 8)
    volume = batch.pos[batch.hexahedron].amax(1) - batch.pos[batch.hexahedron].amin(1)
    assert bool((volume == 1).all())
    for one, again in zip(graphs, batch.to_data_list(), strict=True):
        assert torch.equal(one.hexahedron, again.hexahedron)
        assert torch.equal(one.pos, again.pos)


def test_cells_are_no_node_field_even_if_as_many():
    data = MeshData(
        pos=torch.zeros(4, 3), line=torch.zeros(4, 2, dtype=torch.long), u=torch.ones(4)
    )
    assert not data.is_node_attr("line")
    assert data.is_node_attr("u")
    assert list(data.node_fields) == ["u"]
    assert list(data.cells) == ["line"]


def test_meshio_and_file_round_trip(tmp_path):
    data = block(2, 1, 1)
    data.save(tmp_path / "m.vtu", error=torch.arange(12.0))
    again = MeshData.from_meshio(meshio.read(tmp_path / "m.vtu"))
    assert torch.equal(again.pos, data.pos)
    assert torch.equal(again.hexahedron, data.hexahedron)
    assert torch.equal(again.height.view(-1), data.height.view(-1))
    assert torch.equal(again.error, torch.arange(12.0))
    assert set(map(tuple, again.edge_index.T.tolist())) == set(
        map(tuple, data.edge_index.T.tolist())
    )


def test_flat_points_get_a_third_coordinate():
    mesh = meshio.Mesh(np.eye(3, 2), [("triangle", [[0, 1, 2]])])
    assert MeshData.from_meshio(mesh).pos.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]


def test_unknown_cells():
    mesh = meshio.Mesh(np.zeros((10, 3)), [("triangle10", [list(range(10))])])
    with pytest.raises(ValueError, match=r"type \['triangle10'\] are not supported"):
        MeshData.from_meshio(mesh)


@pytest.mark.parametrize(
    ("points", "cell", "fields", "message"),
    [
        (np.full((3, 3), np.nan), [0, 1, 2], {}, "3 points have NaN"),
        (np.eye(3), [0, 1, 3], {}, r"from 0 to 2 in 'cells' \(got 0 to 3\)"),
        (np.eye(3), [0, 1, -1], {}, r"in 'cells' \(got -1 to 1\)"),
        (np.eye(3), [0, 1, 2], {"pos": np.zeros((3, 3))}, "field name 'pos' is taken"),
        (np.eye(3), [0, 1, 2], {"batch": np.zeros(3)}, "field name 'batch' is taken"),
    ],
)
def test_bad_meshes(points, cell, fields, message):
    mesh = meshio.Mesh(points, [("triangle", [cell])], point_data=fields)
    with pytest.raises(ValueError, match=message):
        MeshData.from_meshio(mesh)


def test_pyvista():
    grid = block(2, 1, 1).to_pyvista()
    assert grid.n_cells == 2
    assert grid.volume == pytest.approx(2.0)
    np.testing.assert_array_equal(grid.point_data["height"].ravel(), grid.points[:, 2])
