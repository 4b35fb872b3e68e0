import numpy as np
import pytest
import torch
from torch_geometric.data import Batch

from flare_mesh import MeshData
from flare_mesh.data.transforms import BuildFeatures, RandomNodes, RandomQuarterTurn
from lpbf import HexMesh, simulate


def tee():
    """A plate of 4 x 2 x 1 voxels with a post of 1 x 2 x 2 on one end, off centre."""
    mask = np.zeros((4, 2, 3), dtype=bool)
    mask[:, :, 0] = True
    mask[0, :, 1:] = True
    return HexMesh.from_mask(mask, 2.0, origin=(-4.0, -2.0, 0.0))


def data_of(mesh, displacement=None):
    data = MeshData(
        pos=torch.from_numpy(mesh.points).float(),
        edge_index=torch.from_numpy(mesh.edge_index),
        hexahedron=torch.from_numpy(mesh.cells),
    )
    if displacement is not None:
        data.y = torch.from_numpy(displacement).float()
    return data


def test_features_of_single_nodes():
    data = BuildFeatures(length=2.0)(data_of(tee()))
    assert data.x.shape == (len(data.pos), BuildFeatures.CHANNELS)

    def at(x, y, z):
        row = (data.pos == torch.tensor([x, y, z])).all(1)
        assert int(row.sum()) == 1
        return data.x[row][0].tolist()

    # On the post's outer top edge: its section is 2 x 4 mm around x = -3.
    assert at(-4.0, -2.0, 6.0) == pytest.approx(
        [4, 2, 3, -0.5, -1, 0.5, 1, -0.5, -1, 0.5, 1, 1.5, 1.5, 1 / 8]
    )
    # In the middle of the plate's top: the whole plate is the section, one cell high.
    assert at(0.0, 0.0, 2.0) == pytest.approx([4, 2, 3, 0, 0, 2, 1, 0, 0, 2, 1, 0.5, 0.5, 4 / 8])


def test_batches_are_refused():
    batch = Batch.from_data_list([data_of(tee()), data_of(tee())])
    with pytest.raises(ValueError, match="apply it before batching"):
        BuildFeatures()(batch)


def test_turned_part_has_the_features_and_the_distortion_of_the_turned_part():
    mesh = tee()
    case = BuildFeatures()(data_of(mesh, simulate(mesh).displacement))
    seen = set()
    for seed in range(24):
        torch.manual_seed(seed)
        turned = RandomQuarterTurn()(case.clone())
        seen.add(tuple(turned.pos[-1].tolist()) + tuple(turned.pos[0].tolist()))
        index = np.rint((turned.pos[mesh.cells].mean(1).numpy() - 1) / 2)
        shift = index[:, :2].min(0)
        mask = np.zeros((4, 4, 3), dtype=bool)
        mask[tuple((index - [*shift, 0]).astype(int).T)] = True
        built = HexMesh.from_mask(mask, 2.0, origin=(2.0 * shift[0], 2.0 * shift[1], 0.0))
        truth = BuildFeatures()(data_of(built, simulate(built).displacement))
        order = np.lexsort(turned.pos.T.numpy()), np.lexsort(truth.pos.T.numpy())
        for key in ("pos", "x", "y"):
            torch.testing.assert_close(turned[key][order[0]], truth[key][order[1]])
    assert len(seen) == 8


def test_a_turn_leaves_the_case_itself_alone():
    case = BuildFeatures()(data_of(tee(), np.ones((len(tee().points), 3))))
    before = case.clone()
    for seed in range(8):
        torch.manual_seed(seed)
        RandomQuarterTurn()(case.clone())
    assert torch.equal(case.pos, before.pos)
    assert torch.equal(case.x, before.x)


def test_random_nodes_keep_their_fields_together():
    case = BuildFeatures()(data_of(tee(), tee().points))
    torch.manual_seed(0)
    part, other = (RandomNodes(10)(case) for _ in range(2))
    assert part.num_nodes == 10
    assert torch.equal(part.pos, part.y)
    assert "hexahedron" not in part
    assert "edge_index" not in part
    assert not torch.equal(part.pos, other.pos)
    assert RandomNodes(1000)(case).num_nodes == case.num_nodes
    with pytest.raises(ValueError, match="num_nodes >= 1"):
        RandomNodes(0)
