import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from flare_mesh import MeshData
from flare_mesh.data.transforms import RandomSquareSymmetry, SupportFeatures
from flare_mesh.data.transforms.square_columns import square_columns
from lpbf import HexMesh


def laplacian(mesh, spacing):
    """Minus Laplace by finite volumes, brick by brick and edge by edge, [N, N]."""
    found = np.zeros((len(mesh.points), len(mesh.points)))
    for brick in mesh.cells:
        for i in brick:
            for j in brick:
                along = np.flatnonzero(abs(mesh.points[i] - mesh.points[j]) > 1e-9)
                if len(along) == 1:  # an edge, seen from both ends
                    (axis,) = along
                    area = np.prod(spacing) / spacing[axis] / 4
                    found[i, i] += area / spacing[axis]
                    found[i, j] -= area / spacing[axis]
    return found


def test_the_equations_of_a_part_with_an_overhang(data_of):
    spacing = np.array([2.0, 2.0, 1.0])
    mask = np.zeros((4, 2, 3), dtype=bool)
    mask[0, :, :] = True
    mask[:, 0, 2] = True  # an arm
    mesh = HexMesh.from_mask(mask, tuple(spacing), origin=(3.0, -2.0, 5.0))
    matrix, points = laplacian(mesh, spacing), mesh.points
    volume = np.bincount(mesh.cells.ravel(), minlength=len(points)) * np.prod(spacing) / 8
    fixed = points[:, 2] < 5.1
    free = ~fixed
    expected = np.zeros((len(points), 4))
    for axis in (0, 1):
        psi = points[:, axis].copy()
        right = -matrix[np.ix_(free, fixed)] @ psi[fixed]
        psi[free] = np.linalg.solve(matrix[np.ix_(free, free)], right)
        expected[:, axis] = points[:, axis] - psi
    expected[free, 2] = np.sqrt(np.linalg.solve(matrix[np.ix_(free, free)], volume[free]))
    expected[:, 3] = points[:, 2] - 5.0
    data = data_of(mesh)
    data.x = torch.ones(len(points), 2)
    found = SupportFeatures(length=10.0)(data).x
    assert torch.equal(found[:, :2], torch.ones(len(points), 2))
    np.testing.assert_allclose(found[:, 2:], expected / 10.0, atol=2e-6)
    # The end of the arm is 8 mm from its root's outer face.
    assert 0.4 < found[:, 2].max() < 0.8


def test_softness_of_columns_and_the_bottom_of_each_piece(data_of):
    """A column without flux at its top has phi = H z - z^2 / 2, at the nodes exactly."""
    columns = [
        HexMesh.from_mask(np.ones((1, 1, n), dtype=bool), 2.0, origin=(9.0 * n, 0.0, n))
        for n in (3, 5)
    ]
    one, other = map(data_of, columns)
    both = MeshData(
        pos=torch.cat([one.pos, other.pos]),
        hexahedron=torch.cat([one.hexahedron, other.hexahedron + len(one.pos)]),
    )
    x = SupportFeatures(length=1.0)(both).x
    z = torch.cat([one.pos[:, 2] - 3, other.pos[:, 2] - 5])
    height = torch.cat([torch.full((len(one.pos),), 6.0), torch.full((len(other.pos),), 10.0)])
    torch.testing.assert_close(x[:, 3], z)
    torch.testing.assert_close(x[:, 2], (height * z - z**2 / 2).sqrt(), rtol=1e-5, atol=1e-5)


def test_features_of_a_rotated_part(tee, data_of):
    transform = SupportFeatures()
    vectors, sizes = square_columns(transform.channels(3))
    assert (vectors, sizes) == ([0], [])
    features = transform(data_of(tee))
    for seed in range(4):
        torch.manual_seed(seed)
        moved = RandomSquareSymmetry({"pos": (0,), "x": vectors}, {})(features.clone())
        again = transform(MeshData(pos=moved.pos, hexahedron=moved.hexahedron))
        torch.testing.assert_close(again.x, moved.x, rtol=0, atol=1e-6)


def test_bad_parts(tee, data_of):
    data = data_of(tee)
    with pytest.raises(ValueError, match="apply it before batching"):
        SupportFeatures()(Batch.from_data_list([data, data]))
    with pytest.raises(ValueError, match=r"SupportFeatures: expected a part of hexahedra \(got"):
        SupportFeatures()(MeshData(data.pos))
    alone = MeshData(torch.cat([data.pos, data.pos[:1] + 50]), hexahedron=data.hexahedron)
    with pytest.raises(ValueError, match="1 nodes belong to no hexahedron; remove them"):
        SupportFeatures()(alone)
