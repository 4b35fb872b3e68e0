import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf import HexMesh
from lpbf.core.voxel_field import VoxelField


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    spacing=st.tuples(*[st.floats(0.5, 3.0)] * 3),
    origin=st.tuples(*[st.floats(-9.0, 9.0)] * 3),
)
def test_linear_fields_are_reproduced_in_and_near_the_voxels(seed, spacing, origin):
    rng = np.random.default_rng(seed)
    mask = rng.random((4, 3, 5)) < 0.4
    mask[1, 1, 1] = True
    mesh = HexMesh.from_mask(mask, spacing, origin)
    gradient, constant = rng.normal(size=(3, 2)), rng.normal(size=2)
    field = VoxelField(mesh, mesh.points @ gradient + constant)
    cells = rng.integers(mesh.num_cells, size=60)
    local = rng.uniform(-0.5, 1.5, size=(60, 3))
    points = (mesh.cell_index[cells] + local) * np.array(spacing) + np.array(origin)
    values, distance = field.at(points)
    np.testing.assert_allclose(values, points @ gradient + constant, atol=1e-9)
    slopes = field.gradient().at(points)[0].reshape(-1, 2, 3)
    np.testing.assert_allclose(slopes, np.broadcast_to(gradient.T, slopes.shape), atol=1e-9)
    assert distance.max() <= np.sqrt(0.75) + 1e-9
    inside = ((local >= 0) & (local <= 1)).all(axis=1)
    assert (distance[inside] < 1e-9).all()


def test_trilinear_values_at_nodes_and_centres():
    mesh = HexMesh.from_mask(np.ones((3, 2, 2)), (1.0, 2.0, 0.5))
    values = np.random.default_rng(0).normal(size=(mesh.num_nodes, 3))
    field = VoxelField(mesh, values)
    np.testing.assert_allclose(field.at(mesh.points)[0], values, atol=1e-12)
    centers = mesh.points[mesh.cells].mean(axis=1)
    np.testing.assert_allclose(field.at(centers)[0], values[mesh.cells].mean(axis=1), atol=1e-12)


def test_the_extension_is_constant_beyond_one_voxel():
    mesh = HexMesh.from_mask(np.ones((1, 1, 1)), 2.0)
    field = VoxelField(mesh, mesh.points[:, :1])
    values, distance = field.at(np.array([[4.0, 1.0, 1.0], [40.0, 1.0, 1.0], [-7.0, 0.0, 2.0]]))
    np.testing.assert_allclose(values[:, 0], [4.0, 4.0, -2.0])
    np.testing.assert_allclose(distance, [1.0, 19.0, 3.5])


def test_each_side_of_a_gap_moves_with_its_own_voxels():
    mask = np.array([1, 0, 1]).reshape(3, 1, 1)
    mesh = HexMesh.from_mask(mask, 1.0)
    field = VoxelField(mesh, np.where(mesh.points[:, :1] < 1.5, -1.0, 1.0))
    values, _ = field.at(np.array([[1.4, 0.5, 0.5], [1.6, 0.5, 0.5]]))
    np.testing.assert_allclose(values[:, 0], [-1.0, 1.0])


def test_the_extension_is_continuous():
    """Along lines around a rough shape, a tenth of the step has at most a fifth of the change."""
    rng = np.random.default_rng(3)
    mesh = HexMesh.from_mask(rng.random((4, 4, 4)) < 0.5, (1.0, 2.0, 0.5))
    field = VoxelField(mesh, rng.normal(size=(mesh.num_nodes, 1)))
    start, end = rng.uniform(-0.5, 4.5, size=(2, 10, 1, 3)) * np.array(mesh.spacing)

    def largest_change(steps):
        lines = start + np.linspace(0, 1, steps + 1)[:, None] * (end - start)
        values, distance = (a.reshape(10, -1) for a in field.at(lines.reshape(-1, 3)))
        near = np.maximum(distance[:, 1:], distance[:, :-1]) < 1
        assert near.mean() > 0.5
        return np.abs(np.diff(values, axis=1))[near].max()

    assert largest_change(3000) < largest_change(300) / 5
