import pytest
import torch
from torch import nn

from flare_mesh import FLAREOperator
from flare_mesh.nn import FLAREBlock
from flare_mesh.nn.mixer import MIXERS, build_mixer, is_ordered
from flare_mesh.testing import (
    assert_graphs_independent,
    assert_permutation_equivariant,
    random_graph,
)
from flare_mesh.trusted_classes import trusting_code

GRAPHS = [random_graph(n, 2, seed=n, dtype=torch.float64) for n in (5, 1, 9)]


class WeightedMean(nn.Module):
    """A Linear of the weighted mean of a graph's nodes, at each of them."""

    def __init__(self, channels, bias=True):
        super().__init__()
        self.linear = nn.Linear(channels, channels, bias)

    def forward(self, x, *, ptr, weight):
        weight = torch.ones_like(x[:, 0]) if weight is None else weight
        parts = zip(x.split(ptr.diff().tolist()), weight.split(ptr.diff().tolist()), strict=True)
        means = [(w @ part / w.sum()).expand_as(part) for part, w in parts]
        return self.linear(torch.cat(means))


class Wrong(nn.Module):
    def __init__(self, channels):
        super().__init__()

    def forward(self, x, **graphs):
        return x[:, :1]


def operator(mixer, **options):
    torch.manual_seed(0)
    sizes = {"hidden_channels": 16, "num_layers": 2} | options
    return FLAREOperator(2, 3, mixer=mixer, **sizes).double().eval()


@pytest.mark.parametrize("mixer", [*MIXERS, WeightedMean])
def test_graphs_are_independent(mixer):
    if is_ordered(mixer):
        with pytest.raises(ValueError, match="depends on the order of the nodes.*use the model"):
            operator(mixer)
        return
    model = operator(mixer)
    assert_graphs_independent(model, GRAPHS, atol=1e-9)
    assert_permutation_equivariant(model, GRAPHS[2], atol=1e-9)
    assert not model.can_stream
    assert not model.uses_edges


def test_own_mixer_gets_offsets_and_weights():
    block = FLAREBlock(4, ffn_layers=0, mixer=WeightedMean, mixer_options={"bias": False}).double()
    x, weight = torch.randn(6, 4, dtype=torch.float64), torch.tensor([1.0, 3, 1, 1, 1, 5]).double()
    ptr = torch.tensor([0, 2, 6])
    n = block.norm1(x)
    means = torch.stack([(n[0] + 3 * n[1]) / 4, (n[2] + n[3] + n[4] + 5 * n[5]) / 8])
    mixed = means.repeat_interleave(ptr.diff(), 0) @ block.attention.layer.linear.weight.T
    expected = block.feed_forward(x + mixed)
    torch.testing.assert_close(block(x, ptr=ptr, weight=weight), expected)
    before = block.attention.layer.linear.weight.clone()
    block.reset_parameters()
    assert not block.attention.layer.linear.weight.equal(before)


def test_named_mixers_are_those_of_the_other_models():
    x = torch.randn(7, 16)
    for name, sizes in (("softmax", {"heads": 2}), ("physics", {"heads": 2, "num_slices": 3})):
        mixer = build_mixer(name, 16, heads=2, num_latents=3 if name == "physics" else 64)
        plain = MIXERS[name](16, **sizes)
        plain.load_state_dict(mixer.layer.state_dict())
        assert {tuple(p.shape) for p in plain.parameters()} >= {(16, 16)}
        assert mixer(x).shape == (7, 16)
    assert operator("flare").config["mixer"] is None


def test_without_latents_nothing_is_streamed():
    model, graph = operator("physics"), GRAPHS[0]
    with torch.no_grad(), pytest.raises(ValueError, match="chunk_size or group: .*mixer='physics'"):
        model(graph, chunk_size=4)
    with pytest.raises(ValueError, match="encode: expected FLARE's mixer, which has latents"):
        model.encode(graph)
    with pytest.raises(ValueError, match="decode: expected FLARE's mixer, which has latents"):
        model.decode([], graph)


def test_a_saved_model_names_the_class(own_code, tmp_path):
    model = operator(WeightedMean, mixer_options={"bias": False})
    assert model.config["mixer"] == f"{__name__}:WeightedMean"
    model.save(tmp_path)
    with pytest.raises(ValueError, match=r"WeightedMean' is code .* --trust-code"):
        FLAREOperator.load(tmp_path)
    with pytest.raises(ValueError, match="'own_code:Mixer' is code"):
        FLAREOperator(2, 3, mixer="own_code:Mixer")
    assert not own_code.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixer": "physic"}, "unknown mixer 'physic'; did you mean 'physics'"),
        ({"mixer": "softmax", "kv_layers": 1}, "'softmax' has no use for FLARE's option kv_layers"),
        ({"mixer": "softmax", "num_latents": 8}, "has no use for FLARE's option num_latents"),
        ({"mixer": WeightedMean, "heads": 4}, "WeightedMean' has no use for FLARE's option heads"),
        ({"mixer": "physics", "mixer_options": {"slices": 3}}, "'physics' has no option 'slices'"),
        ({"mixer": "physics", "mixer_options": {"num_slices": 0}}, "mixer 'physics' with .*num_sl"),
        ({"mixer_options": {"heads": 3}}, "mixer_options are for another mixer than FLARE's"),
        ({"mixer": "flare", "mixer_options": {"a": 3}}, "mixer_options are for another mixer"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        operator(options.pop("mixer", None), **options)


def test_a_wrong_shape_is_found():
    with pytest.raises(ValueError, match=r"mixer Wrong: .* of its input, \[5, 16\] \(got \[5, 1\]"):
        operator(Wrong)(GRAPHS[0])
    with (
        trusting_code(),
        pytest.raises(ValueError, match="expected a subclass of torch.nn.*Module"),
    ):
        operator("os:getcwd")
