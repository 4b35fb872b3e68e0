import dataclasses

import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from flare_mesh import MeshData
from flare_mesh.data.transforms import RandomSquareSymmetry, ShrinkageFeatures
from flare_mesh.data.transforms.shrinkage_features import _interpolate, _share_solid
from flare_mesh.data.transforms.square_columns import square_columns
from lpbf import MATERIALS, HexMesh, Process, simulate


def displacement(x, length=30.0):
    return x[:, :3] * x[:, 7:].exp() * length


def test_a_small_part_has_the_displacement_of_its_simulation(data_of):
    mask = np.zeros((4, 2, 4), dtype=bool)
    mask[0, :, :] = True
    mask[:, 0, 2] = True  # an arm
    mesh = HexMesh.from_mask(mask, (2.0, 1.5, 1.0), origin=(3.0, -2.0, 5.0))
    material = dataclasses.replace(MATERIALS["Ti-6Al-4V"], poisson_ratio=0.3)
    process = Process(material=material, inherent_strain=(-0.01, -0.01, -0.01))
    result = simulate(mesh, process)
    expected = result.displacement / 0.01
    data = data_of(mesh)
    data.x = torch.ones(len(mesh.points), 2)
    x = ShrinkageFeatures(length=7.0)(data).x
    assert torch.equal(x[:, :2], torch.ones(len(mesh.points), 2))
    found = displacement(x[:, 2:], 7.0).numpy()
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()
    stress = result.von_mises / 0.01 / material.youngs_modulus_at(process.temperature)
    np.testing.assert_allclose(x[:, 8], stress, rtol=1e-3)
    # Nodes of the arm's lower side are activated by the layer above them.
    low = (mesh.points[:, 2] == 7.0) & (mesh.points[:, 0] > 5.5)
    assert low.any()
    assert (x[torch.from_numpy(low)][:, 5:8] == 0).all()
    torch.testing.assert_close(x[:, 2:5].square().sum(1).mean(), torch.tensor(1.0))


def test_cells_wider_than_the_voxels(data_of):
    mesh = HexMesh.from_mask(np.ones((12, 10, 3), dtype=bool), (1.0, 1.0, 1.0))
    fine, coarse = (ShrinkageFeatures(work)(data_of(mesh)).x for work in (1.0, 2e-4))
    change = displacement(coarse) - displacement(fine)
    assert 0.01 < change.norm() / displacement(fine).norm() < 0.3
    boxes = np.stack([mesh.points[mesh.cells].min(1), mesh.points[mesh.cells].max(1)])
    boxes -= mesh.points.min(0)
    edges = np.array([12 / 5, 10 / 4, 1.0])
    density = _share_solid(boxes[0] / edges, boxes[1] / edges, np.array([5, 4, 3]))
    np.testing.assert_allclose(density, 1.0)


def test_share_of_solid_and_interpolation():
    low = np.array([[0.0, 0.0, 0.0], [0.5, 0.0, 1.0]])
    density = _share_solid(low, low + np.array([0.75, 1.0, 1.0]), np.array([2, 1, 2]))
    np.testing.assert_allclose(density[:, 0], [[0.75, 0.5], [0.0, 0.25]])
    grid = np.moveaxis(np.indices((3, 2, 4)), 0, -1) @ np.array([[1.0], [10.0], [100.0]])
    places = np.array([[0.25, 0.5, 1.75], [2.0, 1.0, 3.0]])
    np.testing.assert_allclose(_interpolate(grid, places)[:, 0], [180.25, 312.0])


@pytest.mark.parametrize("work", [1.0, 1e-6])
def test_features_of_a_rotated_part(tee, data_of, work):
    transform = ShrinkageFeatures(work)
    vectors, sizes = square_columns(transform.channels(3))
    assert (vectors, sizes) == ([0, 3], [])
    features = transform(data_of(tee))
    for seed in range(4):
        torch.manual_seed(seed)
        moved = RandomSquareSymmetry({"pos": (0,), "x": vectors}, {})(features.clone())
        again = transform(MeshData(pos=moved.pos, hexahedron=moved.hexahedron))
        torch.testing.assert_close(again.x, moved.x, rtol=0, atol=1e-5)


def test_bad_parts(tee, data_of):
    data = data_of(tee)
    with pytest.raises(ValueError, match=r"ShrinkageFeatures: expected work > 0 \(got 0\)"):
        ShrinkageFeatures(0)
    with pytest.raises(ValueError, match="apply it before batching"):
        ShrinkageFeatures()(Batch.from_data_list([data, data]))
    with pytest.raises(ValueError, match=r"ShrinkageFeatures: expected a part of hexahedra \(got"):
        ShrinkageFeatures()(MeshData(data.pos))
    alone = MeshData(torch.cat([data.pos, data.pos[:1] + 50]), hexahedron=data.hexahedron)
    with pytest.raises(ValueError, match="1 nodes belong to no hexahedron; remove them"):
        ShrinkageFeatures()(alone)
    flat = MeshData(data.pos * torch.tensor([1.0, 1, 0]), hexahedron=data.hexahedron)
    with pytest.raises(ValueError, match=r"expected voxels with three edges \(got edges of"):
        ShrinkageFeatures()(flat)
    rotated = data.pos @ torch.tensor([[0.8, 0.6, 0], [-0.6, 0.8, 0], [0, 0, 1]])
    count = len(data.hexahedron)
    for pos in (rotated, torch.cat([data.pos[:1] + 0.1, data.pos[1:]])):
        bad = MeshData(pos, hexahedron=data.hexahedron)
        with pytest.raises(ValueError, match=rf"along x, y and z \(got \d+ of {count} that are"):
            ShrinkageFeatures()(bad)
