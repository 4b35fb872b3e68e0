import pytest
import torch

from flare_mesh.data.transforms import BuildFeatures, RandomNodes


def test_random_nodes_keep_their_fields_together(tee, data_of):
    case = BuildFeatures()(data_of(tee, tee.points))
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
