import pytest
import torch
from torch import nn

from flare_mesh import FLAREOperator
from flare_mesh.models import MODELS, build
from flare_mesh.training.parameter_groups import hidden_matrices, parameter_groups


def names(module, parameters):
    by_id = {id(parameter): name for name, parameter in module.named_parameters()}
    return [by_id[id(parameter)] for parameter in parameters]


def operator(**options):
    sizes = {"hidden_channels": 4, "num_layers": 2, "heads": 2, "num_latents": 3}
    return FLAREOperator(1, 1, **sizes, **options)


@pytest.mark.parametrize("name", sorted(MODELS))
@pytest.mark.parametrize("decay_latents", [False, True])
def test_every_parameter_is_in_one_group(name, decay_latents):
    model = build(name, in_channels=1, out_channels=2)
    groups = parameter_groups(model, 0.1, decay_latents=decay_latents)
    assert [group["weight_decay"] for group in groups] == [0.1, 0.0]
    ids = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(ids) == sorted(map(id, model.parameters()))
    for name, parameter in model.named_parameters():
        if parameter.dim() < 2 and not decay_latents:
            assert id(parameter) not in {id(p) for p in groups[0]["params"]}, name


@pytest.mark.parametrize(("queries", "norm"), [("fixed", "layer"), ("synthesized", "rms")])
def test_flare(queries, norm):
    """What decays: the weights of linear layers; in the published runs, latents and gates too."""
    model = operator(queries=queries, norm=norm)
    linear = {
        f"{name}.weight" for name, layer in model.named_modules() if isinstance(layer, nn.Linear)
    }
    learned = {"latent_query", "seed_query", "gate"}
    bare = {name for name, _ in model.named_parameters() if name.split(".")[-1] in learned}
    assert len(bare) == (2 if queries == "fixed" else 6)
    assert set(names(model, parameter_groups(model, 0.1)[0]["params"])) == linear
    decayed = parameter_groups(model, 0.1, decay_latents=True)[0]["params"]
    assert set(names(model, decayed)) == linear | bare


def test_other_layers():
    module = nn.ModuleDict(
        {
            "conv": nn.Conv2d(1, 2, 3),
            "embedding": nn.Embedding(3, 4),
            "layer_norm": nn.LayerNorm((2, 3)),
            "batch_norm": nn.BatchNorm1d(3),
            "group_norm": nn.GroupNorm(1, 3),
            "attention": nn.MultiheadAttention(4, 2),
            "prelu": nn.PReLU(3),
            "gru": nn.GRU(2, 3),
            "list": nn.ParameterList([torch.zeros(3, 3)]),
        }
    )
    decayed, rest = parameter_groups(module, 0.1)
    assert set(names(module, decayed["params"])) == {
        "conv.weight",
        "attention.in_proj_weight",
        "attention.out_proj.weight",
        "gru.weight_ih_l0",
        "gru.weight_hh_l0",
    }
    assert len(decayed["params"]) + len(rest["params"]) == len(list(module.parameters()))


def test_frozen_and_shared():
    table, linear = nn.Embedding(3, 4), nn.Linear(4, 3)
    linear.weight = table.weight
    for order in ([table, linear], [linear, table]):
        module = nn.Sequential(*order)
        decayed, rest = parameter_groups(module, 0.1)
        assert decayed["params"] == []
        assert [id(p) for p in rest["params"]] == [id(p) for p in module.parameters()]
    linear.bias.requires_grad_(False)
    assert [id(p) for p in parameter_groups(linear, 0.1)[1]["params"]] == [id(table.weight)] * 0
    assert [id(p) for p in parameter_groups(linear, 0.1)[0]["params"]] == [id(linear.weight)]


def test_flat_shards_of_weights_decay():
    """FSDP keeps the names of parameters and flattens their shards."""
    linear = nn.Linear(4, 3)
    linear.weight = nn.Parameter(linear.weight.detach().flatten()[:5])
    assert names(linear, parameter_groups(linear, 0.1)[0]["params"]) == ["weight"]
    assert hidden_matrices(nn.Sequential(nn.Linear(4, 3), linear, nn.Linear(4, 3))) == []


def test_hidden_matrices():
    model = operator()
    hidden = names(model, hidden_matrices(model))
    linear = [
        f"{name}.weight" for name, layer in model.named_modules() if isinstance(layer, nn.Linear)
    ]
    assert hidden == linear[1:-1]
    assert linear[0] == "encoder.mlp.layers.0.weight"
    assert model.get_parameter(linear[-1]).shape[0] == 1
    model.blocks[0].requires_grad_(False)
    assert not any(name.startswith("blocks.0") for name in names(model, hidden_matrices(model)))
