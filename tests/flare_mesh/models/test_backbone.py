import pytest
import torch
from torch import nn

from flare_mesh import FLAREOperator
from flare_mesh.models import Backbone, build, load
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.testing import assert_graphs_independent, random_graph
from flare_mesh.trusted_classes import class_path, trusting_code

GRAPHS = [random_graph(n, 2, seed=n, dtype=torch.float64) for n in (12, 1, 9)]
SMALL = {"hidden_channels": 16, "num_layers": 2, "heads": 4}


class Running(MixingLayer):
    """The mean over a node and those before it, for one graph."""

    ORDERED = True

    def __init__(self, channels):
        super().__init__()
        self.linear = nn.Linear(channels, channels)

    def forward(self, x, graphs):
        parts = x.split(graphs.layout.ptr.diff().tolist())
        count = [torch.arange(1, len(part) + 1)[:, None] for part in parts]
        means = [part.cumsum(0) / n for part, n in zip(parts, count, strict=True)]
        return self.linear(torch.cat(means))


def test_softmax_attention_gives_the_transformer():
    torch.manual_seed(0)
    model = Backbone(2, 3, mixer="softmax", **SMALL).double()
    plain = build("transformer", in_channels=2, out_channels=3, **SMALL).double()
    names = {name: name.replace(".layer.", ".") for name in model.state_dict()}
    plain.load_state_dict({names[name]: value for name, value in model.state_dict().items()})
    torch.testing.assert_close(model(GRAPHS[0]), plain(GRAPHS[0]))


def test_the_size_of_the_comparison():
    """MLP ratio 4, C = 64, 8 blocks: vpuri3/FLARE.py's wrapper at two inputs and one output."""
    model = Backbone(0, 1, pos_dim=2, mixer="softmax")
    assert sum(p.numel() for p in model.parameters()) == 425_217


def test_a_layer_of_a_sequence_sees_the_nodes_along_a_curve():
    torch.manual_seed(0)
    model = Backbone(2, 3, mixer=Running, pos_dim=3, hidden_channels=8, heads=8).double()
    assert_graphs_independent(model, GRAPHS, atol=1e-9)
    x, pos = GRAPHS[0].x, GRAPHS[0].pos
    weight = torch.rand(12, dtype=torch.float64)
    order = torch.randperm(12)
    torch.testing.assert_close(
        model(x[order], pos[order], weight=weight[order]), model(x, pos, weight=weight)[order]
    )
    line = torch.linspace(0, 1, 12, dtype=torch.float64)[:, None] * torch.ones(3)
    h = x.clone().requires_grad_()
    (grad,) = torch.autograd.grad(model(h, line)[5].sum(), h)
    assert not bool(grad[6:].any())
    assert bool(grad[:6].any(dim=1).all())


def test_a_layer_of_a_sequence_needs_the_backbone():
    with pytest.raises(ValueError, match="depends on the order of the nodes.*use the model 'backb"):
        FLAREOperator(2, 3, mixer=Running)


def test_own_layers_are_stored_by_their_path(tmp_path):
    model = Backbone(2, 3, mixer=Running, **SMALL | {"heads": 8})
    assert model.config["mixer"] == class_path(Running)
    model.save(tmp_path)
    with pytest.raises(ValueError, match="trust"):
        load(tmp_path)
    with trusting_code(True):
        assert isinstance(load(tmp_path).blocks[0].attention.layer, Running)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixer": "softmx"}, "unknown mixer 'softmx'; did you mean 'softmax'"),
        (
            {"mixer_options": {"num_latent": 3}},
            "no option 'num_latent'; did you mean 'num_latents'",
        ),
        ({"mixer": "softmax", "heads": 3}, "divisible by 'heads'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        Backbone(2, 3, **options)
