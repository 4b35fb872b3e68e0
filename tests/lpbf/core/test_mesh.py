import numpy as np
import pytest

from lpbf import HexMesh


def test_two_voxels():
    mesh = HexMesh.from_mask(np.ones((2, 1, 1)), (1.0, 2.0, 3.0), origin=(-1.0, 0.0, 0.0))
    assert (mesh.num_cells, mesh.num_nodes) == (2, 12)
    assert repr(mesh) == "HexMesh(2 cells, 12 nodes, spacing=(1.0, 2.0, 3.0) mm)"
    corners = mesh.points[mesh.cells[1]]
    unit = [[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 1], [1, 0, 1], [1, 1, 1], [0, 1, 1]]
    np.testing.assert_array_equal(corners, np.array(unit) * [1, 2, 3])


def test_random_voxels():
    rng = np.random.default_rng(1)
    mask = rng.random((5, 4, 6)) < 0.4
    spacing = np.array([0.5, 1.0, 2.0])
    mesh = HexMesh.from_mask(mask, tuple(spacing))
    assert len(np.unique(mesh.points, axis=0)) == mesh.num_nodes
    np.testing.assert_array_equal(np.unique(mesh.cells), np.arange(mesh.num_nodes))
    centers = mesh.points[mesh.cells].mean(axis=1)
    index = np.rint(centers / spacing - 0.5).astype(int)
    again = np.zeros_like(mask)
    again[tuple(index.T)] = True
    np.testing.assert_array_equal(again, mask)
    assert (np.diff(mesh.points[:, 2]) >= 0).all()
    assert (np.diff(index[:, 2]) >= 0).all()
    # Every cell has the volume of a voxel and VTK's orientation.
    a, b, c, d = (mesh.points[mesh.cells[:, i]] for i in (0, 1, 3, 4))
    volume = np.einsum("ni,ni->n", np.cross(b - a, c - a), d - a)
    np.testing.assert_allclose(volume, spacing.prod())


def test_edges_of_a_block():
    mesh = HexMesh.from_mask(np.ones((2, 3, 4)), 1.0)
    once = 2 * 4 * 5 + 3 * 3 * 5 + 3 * 4 * 4
    assert mesh.edge_index.shape == (2, 2 * once)
    assert len(np.unique(mesh.edge_index, axis=1).T) == 2 * once
    ends = mesh.points[mesh.edge_index]
    np.testing.assert_allclose(np.linalg.norm(ends[0] - ends[1], axis=1), 1.0)


def test_a_mesh_copies_its_mask():
    mask = np.ones((2, 2, 2), dtype=bool)
    mesh = HexMesh.from_mask(mask, 1.0)
    mask[:] = False
    assert mesh.num_cells == 8
    with pytest.raises(ValueError, match="read-only"):
        mesh.mask[0, 0, 0] = False


@pytest.mark.parametrize(
    ("mask", "spacing", "message"),
    [
        (np.zeros((2, 2, 2)), 1.0, "at least one True voxel"),
        (np.ones((2, 2)), 1.0, r"shape \[nx, ny, nz\]"),
        (np.ones((2, 2, 2)), 0.0, "expected the spacing as one or three lengths > 0 mm"),
        (
            np.ones((2, 2, 2)),
            (1.0, np.nan, 1.0),
            "expected the spacing as one or three lengths > 0 mm",
        ),
        (np.ones((2, 2, 2)), (1.0, 1.0), "one or three"),
    ],
)
def test_bad_input(mask, spacing, message):
    with pytest.raises(ValueError, match=message):
        HexMesh.from_mask(mask, spacing)
