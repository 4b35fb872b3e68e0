import math

import pytest
import torch

from flare_mesh.models import LaMO, Transolver
from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.time_embedding import TimeEmbedding
from flare_mesh.testing import random_graph


@pytest.mark.parametrize("channels", [4, 7])
def test_against_the_equation(channels):
    torch.manual_seed(0)
    module = TimeEmbedding(channels).double()
    times = [0.3, 2.5]
    time = torch.tensor([times[0]] * 3 + [times[1]] * 2, dtype=torch.float64)[:, None]
    out = module(time, graphs_of(time, ptr=torch.tensor([0, 3, 3, 5])))
    for t, row in zip(times, (out[0], out[4]), strict=True):
        half = channels // 2
        angles = [t * 10000 ** (-i / half) for i in range(half)]
        waves = [math.cos(a) for a in angles] + [math.sin(a) for a in angles]
        waves += [0.0] * (channels - 2 * half)
        torch.testing.assert_close(row, module.mlp(torch.tensor(waves, dtype=torch.float64)))
    assert torch.equal(out[0], out[2])
    assert not torch.allclose(out[0], out[4])


@pytest.mark.parametrize("kind", [LaMO, Transolver])
def test_the_time_is_added_to_the_embedding_and_is_no_feature(kind):
    torch.manual_seed(0)
    model = kind(2, 3, hidden_channels=8, heads=2, num_layers=0, time_channel=0).double()
    data = random_graph(5, 2, seed=0, dtype=torch.float64)
    data.x[:, 0] = 0.7
    h = model.embed(torch.cat([data.pos, data.x[:, 1:]], 1)) + model.placeholder
    h = h + model.time(data.x[:, :1], graphs_of(data.pos))
    torch.testing.assert_close(model(data), model.head(model.norm(h)))
    with pytest.raises(
        ValueError, match=r"'time_channel' among the 2 channels of x, .* \(got \[2\]"
    ):
        kind(2, 3, time_channel=2)
