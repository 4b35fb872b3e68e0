import numpy as np
import pytest
import torch
import trimesh
from torch_geometric.data import Data

from flare_mesh import MeshData
from flare_mesh.data.transforms import RandomReflection, RandomRotation, SurfaceNormals
from lpbf import HexMesh


def block(*cells):
    mesh = HexMesh.from_mask(np.ones(cells), 1.0, origin=tuple(-c / 2 for c in cells))
    return MeshData(pos=torch.from_numpy(mesh.points), hexahedron=torch.from_numpy(mesh.cells))


def test_a_block():
    data = SurfaceNormals()(block(4, 4, 4))
    outside = torch.where(data.pos.abs() == 2, data.pos.sign(), 0.0)
    # Nodes of faces, edges and corners; none inside.
    expected = outside / outside.norm(dim=1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(data.normal, expected)
    assert int((data.normal == 0).all(1).sum()) == 27


@pytest.mark.parametrize("seed", range(4))
def test_normals_rotate_and_reflect_with_the_mesh(seed):
    torch.manual_seed(seed)
    data = SurfaceNormals()(block(2, 1, 3))
    for change in (RandomRotation, RandomReflection):
        moved = change(vectors={"normal": (0,)})(data)
        torch.testing.assert_close(SurfaceNormals("again")(moved).again, moved.normal)


def test_a_sphere():
    sphere = trimesh.creation.icosphere(subdivisions=3)
    data = MeshData(
        pos=torch.from_numpy(np.array(sphere.vertices)).float(),
        triangle=torch.from_numpy(np.array(sphere.faces)),
    )
    normal = SurfaceNormals()(data).normal
    assert normal.dtype == torch.float32
    assert float((normal * data.pos).sum(1).min()) > 0.9995
    torch.testing.assert_close(normal.norm(dim=1), torch.ones(len(normal)))


def test_flat_meshes():
    square = torch.tensor([[0.0, 0], [1, 0], [1, 1], [0, 1], [0.5, 0.5]])
    fan = torch.tensor([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])
    normal = SurfaceNormals()(MeshData(pos=square, triangle=fan)).normal
    expected = torch.tensor([[-1.0, -1], [1, -1], [1, 1], [-1, 1], [0, 0]]) / 2**0.5
    torch.testing.assert_close(normal, expected)
    # A curve: to the right of its lines.
    line = MeshData(pos=square[:2], line=torch.tensor([[0, 1]]))
    assert SurfaceNormals()(line).normal.tolist() == [[0, -1], [0, -1]]


def test_data_without_a_surface():
    line = MeshData(pos=torch.eye(3), line=torch.tensor([[0, 1]]))
    for data, got in ((Data(pos=torch.eye(3)), "none"), (line, r"\['line'\]")):
        with pytest.raises(ValueError, match=f"with cells of 3 or 2 dimensions .got {got}"):
            SurfaceNormals()(data)
