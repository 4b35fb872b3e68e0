import pytest
import torch
from torch_geometric.data import Batch

from flare_mesh.data.transforms import BuildFeatures
from flare_mesh.data.transforms.resolver import appended_channels


def test_features_of_single_nodes(tee, data_of):
    data = BuildFeatures(length=2.0)(data_of(tee))
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


def test_the_fields_of_the_data_stay_first(tee, data_of):
    data = data_of(tee)
    alone = BuildFeatures()(data.clone()).x
    data.x = torch.ones(len(data.pos), 2)
    assert torch.equal(BuildFeatures()(data).x, torch.cat([torch.ones(len(alone), 2), alone], 1))


def test_every_channel_has_a_name():
    channels = appended_channels(["build_features", "geometry_features"], 3)
    assert len({one.name for one in channels}) == len(channels)
    names = [one.name for one in BuildFeatures().channels(3)]
    assert len(names) == BuildFeatures.CHANNELS
    for first in (*BuildFeatures.VECTORS, *BuildFeatures.SIZES):
        pair = [name.rpartition(" along ") for name in names[first : first + 2]]
        assert pair[0][0] == pair[1][0]
        assert [axis for *_, axis in pair] == ["x", "y"]


def test_batches_are_refused(tee, data_of):
    batch = Batch.from_data_list([data_of(tee), data_of(tee)])
    with pytest.raises(ValueError, match="apply it before batching"):
        BuildFeatures()(batch)
