"""Variants of FLARE: each is FLARE where it must be, and its own equations elsewhere."""

import copy

import pytest
import torch
from torch.nn.functional import gelu, layer_norm, linear

from flare_mesh import FLAREOperator
from flare_mesh.models import load
from flare_mesh.nn.latent_mixing import LatentMixing
from flare_mesh.testing import random_graph

SMALL = {"hidden_channels": 8, "heads": 2, "num_latents": 3, "kv_layers": 0, "ffn_layers": 0,
         "head_layers": 0}  # fmt: skip
GRAPH = random_graph(7, 2, seed=0, dtype=torch.float64)


def operator(**options):
    torch.manual_seed(0)
    model = FLAREOperator(2, 3, **{**SMALL, **options}).double().eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def assert_same(got, want):
    torch.testing.assert_close(got, want, rtol=1e-12, atol=1e-12)


def gradients(model):
    out = model(GRAPH)
    out.sin().sum().backward()
    return out, {name: parameter.grad for name, parameter in model.named_parameters()}


def parameters_of(options):
    model = FLAREOperator(0, 1, pos_dim=2, **options)
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"kv_layers": [3, 3], "kv_ratio": [1.0, 1.0]}, 592_641),
        ({"qk_norm": True}, 592_897),
        ({"norm": "rms"}, 591_553),
        ({"kv_layers": -1}, 326_401),
        ({"kv_layers": 0}, 392_961),
        ({"kv_layers": 1}, 459_521),
        ({"kv_layers": 2}, 526_081),
        ({"kv_layers": 5}, 725_761),
        ({"kv_layers": [0, 5]}, (392_961 + 725_761) // 2),
        ({"ffn_layers": 0}, 492_801),
        ({"ffn_layers": 5}, 659_201),
        ({"num_latents": 16}, 568_065),
        ({"num_latents": 512}, 822_017),
        ({"num_layers": 1}, 96_257),
        ({"num_layers": 4}, 308_993),
        ({"shared_latents": True}, 563_969),
        ({"latent_blocks": 1}, 592_641 + 8 * 49_984),
        ({"latent_blocks": 4}, 2_192_129),
        ({"passes": 3}, 592_641),
        ({"shared_ffn": True}, 447_041),
        ({"shared_attention": True}, 243_649),
        ({"shared_attention": True, "shared_ffn": True}, 98_049),
        ({"gate_layers": 3}, 592_641 + 8 * 5 * 64 * 65),
    ],
    ids=str,
)
def test_sizes_are_the_authors(options, count):
    assert parameters_of(options) == count


def test_passes_are_blocks_with_tied_weights():
    looped, flare = operator(num_layers=2, passes=3), operator(num_layers=6)
    for i, block in enumerate(flare.blocks):
        block.load_state_dict(looped.blocks[i % 2].state_dict())
    for part in ("encoder", "norm", "head"):
        getattr(flare, part).load_state_dict(getattr(looped, part).state_dict())
    out, grads = gradients(looped)
    want, of_each = gradients(flare)
    assert_same(out, want)
    for name, grad in grads.items():
        _, _, rest = name.partition(".")
        if name.startswith("blocks."):
            number, _, rest = rest.partition(".")
            total = sum(of_each[f"blocks.{i}.{rest}"] for i in range(int(number), 6, 2))
            assert_same(grad, total)
        else:
            assert_same(grad, of_each[name])


@pytest.mark.parametrize("parts", [("attention",), ("mlp",), ("attention", "mlp")], ids=str)
def test_shared_layers_are_tied_weights(parts):
    options = {"shared_attention": "attention" in parts, "shared_ffn": "mlp" in parts}
    shared, flare = operator(num_layers=3, **options), operator(num_layers=3)
    repeated = dict(shared.named_parameters(remove_duplicate=False))
    flare.load_state_dict({name: tensor.detach() for name, tensor in repeated.items()})
    out, grads = gradients(shared)
    want, of_each = gradients(flare)
    assert_same(out, want)
    for name, grad in grads.items():
        group, number, part = [*name.split("."), "", ""][:3]
        total = of_each[name]
        if group == "blocks" and part in parts:
            assert number == "0"
            total = sum(of_each[name.replace(".0.", f".{i}.", 1)] for i in range(3))
        assert_same(grad, total)


def test_shared_weights_are_stored_once(tmp_path):
    model = operator(num_layers=3, shared_attention=True, shared_ffn=True)
    state = model.float().state_dict()
    assert state.keys() == dict(model.named_parameters()).keys()
    assert not any(name.startswith("blocks.2.attention") for name in state)
    model.float().save(tmp_path)
    for other in (load(tmp_path), copy.deepcopy(model)):
        assert other.blocks[2].attention is other.blocks[0].attention
        assert_same(other.double()(GRAPH), model.double()(GRAPH))
        assert other.state_dict().keys() == state.keys()
    # Also inside of another module, and with the names of all blocks.
    outer = torch.nn.ModuleList([operator(num_layers=3, shared_attention=True, shared_ffn=True)])
    for parameter in outer.parameters():
        torch.nn.init.zeros_(parameter)
    outer.load_state_dict({f"0.{name}": tensor for name, tensor in state.items()})
    assert_same(outer[0](GRAPH), model(GRAPH))
    assert outer.state_dict().keys() == {f"0.{name}" for name in state}
    every = dict(model.named_parameters(remove_duplicate=False))
    outer[0].load_state_dict({name: tensor.detach() for name, tensor in every.items()})
    with pytest.raises(RuntimeError, match=r"Missing key.*blocks\.0\.mlp\.layers\.0\.bias"):
        outer[0].load_state_dict({k: v for k, v in state.items() if "mlp.layers.0.bias" not in k})


@pytest.mark.parametrize("options", [{}, {"queries": "synthesized"}, {"qk_norm": True}], ids=str)
def test_shared_latents_are_tiled_queries(options):
    shared = operator(num_layers=2, shared_latents=True, **options)
    flare = operator(num_layers=2, **options)
    state = shared.state_dict()
    for name, tensor in state.items():
        if name.endswith(("latent_query", "seed_query")):
            assert tensor.shape == (1, 3, 4)
            state[name] = tensor.repeat(2, 1, 1)
    flare.load_state_dict(state)
    out, grads = gradients(shared)
    want, of_heads = gradients(flare)
    assert_same(out, want)
    name = "blocks.0.attention.latent_query"
    assert_same(grads[name], of_heads[name].sum(0, keepdim=True))


def test_latent_blocks_with_zero_outputs_are_none():
    mixing, flare = operator(num_layers=2, latent_blocks=2), operator(num_layers=2)
    names = flare.state_dict().keys()
    flare.load_state_dict({k: v for k, v in mixing.state_dict().items() if k in names})
    assert float((mixing(GRAPH) - flare(GRAPH)).detach().abs().max()) > 1e-3
    for block in mixing.blocks:
        for latent_block in block.attention.latent_blocks:
            for layer in (latent_block.out, latent_block.mlp.layers[-1]):
                torch.nn.init.zeros_(layer.weight)
                torch.nn.init.zeros_(layer.bias)
    assert_same(mixing(GRAPH), flare(GRAPH))


def test_latent_mixing_against_the_equations():
    torch.manual_seed(0)
    mixing = LatentMixing(6, 2, 2).double()
    for parameter in mixing.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    latents = torch.randn(2, 2, 5, 3, dtype=torch.float64)
    got = mixing(latents)
    for graph, each in enumerate(latents):
        z = torch.cat([each[0], each[1]], dim=-1)  # [M, C], the heads side by side
        for block in mixing:
            n = layer_norm(z, (6,), block.norm1.weight, block.norm1.bias)
            qkv = linear(n, block.query_key_value.weight, block.query_key_value.bias)
            q, k, v = qkv.chunk(3, dim=-1)
            heads = [
                torch.softmax(q[:, h] @ k[:, h].T / 3**0.5, -1) @ v[:, h]
                for h in (slice(0, 3), slice(3, 6))
            ]
            z = z + linear(torch.cat(heads, -1), block.out.weight, block.out.bias)
            n = layer_norm(z, (6,), block.norm2.weight, block.norm2.bias)
            first, last = block.mlp.layers
            z = z + linear(gelu(linear(n, first.weight, first.bias)), last.weight, last.bias)
        assert_same(torch.cat([*got[graph]], dim=-1), z)


def test_the_gate_multiplies_the_mixed_values():
    gated, flare = operator(num_layers=1, gate_layers=1), operator(num_layers=1)
    names = flare.state_dict().keys()
    flare.load_state_dict({k: v for k, v in gated.state_dict().items() if k in names})
    block, attention = gated.blocks[0], gated.blocks[0].attention
    h = gated.encoder(GRAPH.x, GRAPH.pos)
    n = block.norm1(h)
    # Without a gate the layer is linear in the mixed values: undo it to have them.
    out = attention.out
    mixed = torch.linalg.solve(out.weight, (flare.blocks[0].attention(n) - out.bias).T).T
    gates = torch.sigmoid(attention.output_gate(n))
    assert float(gates.detach().std()) > 0.05
    h = h + (mixed * gates) @ out.weight.T + out.bias
    h = h + block.mlp(block.norm2(h))
    torch.testing.assert_close(gated(GRAPH), gated.head(gated.norm(h)), rtol=1e-9, atol=1e-9)


def test_keys_and_values_of_unequal_size():
    model = operator(num_layers=1, kv_layers=[1, -1], kv_ratio=[0.5, 1.0], decode="encoded")
    attention = model.blocks[0].attention
    shapes = {
        name: [list(layer.weight.shape) for layer in getattr(attention, name).layers]
        for name in ("key", "value", "read_query")
    }
    keys = [[4, 8], [4, 4], [8, 4]]
    assert shapes == {"key": keys, "value": [[8, 8]], "read_query": keys}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"passes": 0}, r"FLAREOperator: expected 'passes' >= 1 \(got 0\)"),
        ({"latent_blocks": -1}, r"FLAREAttention: expected 'latent_blocks' >= 0 \(got -1\)"),
        (
            {"kv_layers": [1, 2, 3]},
            r"'kv_layers' to be one number, or two for keys and values \(got \[1, 2, 3\]\)",
        ),
        ({"kv_ratio": [1.0]}, "'kv_ratio' to be one number, or two"),
        ({"gate_layers": -2}, r"'num_layers' >= -1 \(got -2\)"),
        ({"mixer": "softmax", "gate_layers": 1}, "no use for FLARE's option .*gate_layers"),
    ],
    ids=str,
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        operator(**options)


def test_other_mixers_have_passes_and_shared_layers():
    sizes = {"hidden_channels": 8, "heads": 2, "mixer": "softmax"}
    model = FLAREOperator(2, 3, num_layers=2, passes=2, shared_attention=True, **sizes).double()
    same = FLAREOperator(2, 3, num_layers=4, shared_attention=True, **sizes).double()
    state = model.state_dict()
    for name, tensor in model.state_dict().items():
        if name.startswith("blocks.") and ".attention." not in name:
            state[f"blocks.{int(name[7]) + 2}{name[8:]}"] = tensor
    same.load_state_dict(state)
    assert_same(model(GRAPH), same(GRAPH))
