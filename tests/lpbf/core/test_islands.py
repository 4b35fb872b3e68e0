import numpy as np

from lpbf import HexMesh, find_unsupported


def supported_and_islands(mask):
    mesh = HexMesh.from_mask(mask, (1.0, 1.0, 2.0), origin=(-1.0, 0.0, 0.0))
    unsupported, islands = find_unsupported(mesh)
    assert not (unsupported & ~mesh.mask).any()
    return mesh.mask & ~unsupported, islands


def test_a_bridge_is_supported_by_its_piers():
    mask = np.zeros((5, 2, 4), dtype=bool)
    mask[[0, 4]] = True
    mask[:, :, 3] = True
    supported, islands = supported_and_islands(mask)
    assert not islands
    np.testing.assert_array_equal(supported, mask)


def test_a_hook_is_unsupported_until_its_arm():
    mask = np.zeros((4, 1, 5), dtype=bool)
    mask[0] = True  # the post
    mask[:, :, 4] = True  # the arm on top
    mask[3, :, 2:] = True  # hangs down from the arm's end
    supported, islands = supported_and_islands(mask)
    assert [(i.layer, i.num_voxels) for i in islands] == [(2, 1), (3, 1)]
    assert islands[0].center == (2.5, 0.5, 5.0)
    assert str(islands[0]) == "1 voxels at layer 2 around (2.5, 0.5, 5) mm"
    expected = mask.copy()
    expected[3, :, 2:4] = False
    np.testing.assert_array_equal(supported, expected)


def test_an_edge_is_no_support():
    mask = np.zeros((2, 1, 2), dtype=bool)
    mask[0, 0, 0] = mask[1, 0, 1] = True
    supported, islands = supported_and_islands(mask)
    assert len(islands) == 1
    assert supported.sum() == 1


def test_voxels_on_an_island_are_unsupported_too():
    mask = np.zeros((3, 1, 4), dtype=bool)
    mask[0, 0, 0] = True
    mask[2, 0, 1:] = True
    supported, islands = supported_and_islands(mask)
    assert sum(i.num_voxels for i in islands) == 3
    assert supported.sum() == 1
