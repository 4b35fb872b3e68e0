import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter

from flare_mesh.models import SequenceModel, load
from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixer import MIXERS
from flare_mesh.nn.mixers.self_attention import SelfAttention
from flare_mesh.nn.positions import rotation

SMALL = {"hidden_channels": 16, "num_layers": 2, "heads": 4, "num_tokens": 7, "max_length": 12}
SIZES = (9, 1, 12, 5)
PTR = torch.tensor([0, 9, 10, 22, 27])
# The sizes of vpuri3/FLARE.py, lra, with 2048 places, beside 128 for each token.
LISTOPS = {"num_classes": 10, "num_tokens": 16, "max_length": 2048, "hidden_channels": 128}


def tokens(count, seed=0):
    return torch.randint(7, (count,), generator=torch.Generator().manual_seed(seed))


def small(seed=0, **options):
    torch.manual_seed(seed)
    options = SMALL | options
    if options.get("mixer") == "ema":
        options["heads"] = 8
    return SequenceModel(3, **options).double().eval()


@pytest.mark.parametrize("mixer", ["flare", *MIXERS])
def test_sequences_of_a_batch_are_read_alone(mixer, tmp_path):
    model, x = small(mixer=mixer), tokens(27)
    out = model(x, ptr=PTR)
    parts = [model(part) for part in x.split(SIZES)]
    torch.testing.assert_close(out, torch.cat(parts))
    batch = torch.repeat_interleave(torch.arange(4), torch.tensor(SIZES))
    torch.testing.assert_close(model(x, batch), out, rtol=0, atol=0)
    out.square().sum().backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert not missing
    assert all(p.grad.abs().max() > 0 for p in model.parameters())
    model.save(tmp_path)
    again = load(tmp_path).double().eval()
    model.load_state_dict(model.float().double().state_dict())  # files hold what was saved
    assert torch.equal(again(x, ptr=PTR), model(x, ptr=PTR))


def test_written_out():
    """One block of softmax attention, the mean, and the head, as sums over one sequence."""
    model, x = small(mixer="softmax", num_layers=1, head_layers=1), tokens(9)
    block = model.blocks[0]
    h = torch.stack([model.embedding.weight[t] + model.places.table.weight[i]
                     for i, t in enumerate(x.tolist())])  # fmt: skip
    layer, g = block.attention.layer, nn.functional.layer_norm(h, (16,))
    q, k, v = (g @ layer.project.weight.T + layer.project.bias).split(16, dim=1)
    mixed = torch.zeros_like(h)
    for head in range(4):
        own = slice(4 * head, 4 * head + 4)
        for i in range(9):
            scores = torch.stack([q[i, own] @ k[j, own] for j in range(9)]) / 2
            mixed[i, own] = sum(s * v[j, own] for j, s in enumerate(scores.softmax(0)))
    h = h + layer.out(mixed)
    h = h + block.mlp(nn.functional.layer_norm(h, (16,)))
    mean = sum(nn.functional.layer_norm(row, (16,)) for row in h) / 9
    expected = model.head(nn.functional.layer_norm(mean, (16,)))
    torch.testing.assert_close(model(x)[0], expected)


def test_positions_added_before_every_block():
    once, x = small(mixer="softmax"), tokens(9)
    every = small(mixer="softmax", repeat_positions=True)
    every.load_state_dict(once.state_dict())
    added = once.places.table.weight[:9]
    once.blocks[1].register_forward_pre_hook(lambda _, args: (args[0] + added, *args[1:]))
    torch.testing.assert_close(every(x), once(x))


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary", "none"])
@pytest.mark.parametrize("mixer", ["softmax", "flare"])
@pytest.mark.parametrize("pool", ["mean", "class"])
def test_only_positions_tell_the_order(positions, mixer, pool):
    model, x = small(mixer=mixer, positions=positions, pool=pool), tokens(12)
    for block in model.blocks:  # weights of 0.02 give nearly constant scores
        nn.init.normal_(next(block.attention.parameters()), std=1.0)
    change = (model(x) - model(x.flip(0))).abs().max()
    assert (change < 1e-12) == (positions == "none")
    torch.testing.assert_close(
        model(tokens(27), ptr=PTR), torch.cat([model(part) for part in tokens(27).split(SIZES)])
    )


def test_rotary_scores_depend_on_differences_of_places():
    torch.manual_seed(0)
    layer = SelfAttention(16, 4).double()
    nn.init.normal_(layer.project.weight)
    x = torch.randn(9, 16, dtype=torch.float64)
    place = torch.arange(9, dtype=torch.float64)[:, None]
    shifted = [layer(x, graphs_of(x), rotation(place + by, 4)) for by in (0, 500)]
    torch.testing.assert_close(*shifted)
    assert (shifted[0] - layer(x, graphs_of(x))).abs().max() > 1e-2


@pytest.mark.parametrize(("features", "width"), [(None, 32), ("concat", 32), ("interaction", 64)])
def test_pairs(features, width):
    model, x = small(documents=2, pair_features=features), tokens(27)
    u, v = model.encode(x, ptr=PTR)[::2], model.encode(x, ptr=PTR)[1::2]
    more = [u * v, u - v] if features == "interaction" else []
    assert model.head[0].in_features == width
    torch.testing.assert_close(model(x, ptr=PTR), model.head(torch.cat([u, v, *more], dim=1)))


def test_continuous_values():
    model = small(num_tokens=None, in_channels=2, pool="class")
    x = torch.rand(27, 2, dtype=torch.float64)
    alone = torch.cat([model(part) for part in x.split(SIZES)])
    torch.testing.assert_close(model(x, ptr=PTR), alone)


def test_dropout_is_of_training_only():
    model, x = small(dropout=0.5), tokens(12)
    assert torch.equal(model(x), model(x))
    model.train()
    assert not torch.equal(model(x), model(x))


@pytest.mark.slow
def test_one_compiled_graph_for_all_batches():
    torch._dynamo.reset()
    model = small(pool="class", positions="sinusoidal").float()
    counter = CompileCounter()
    compiled = torch.compile(model, backend=counter, fullgraph=True, dynamic=True)
    for sizes in ((9, 4), (3, 11), (6, 6)):
        x, ptr = tokens(sum(sizes)), torch.tensor([0, sizes[0], sum(sizes)])
        torch.testing.assert_close(compiled(x, ptr=ptr), model(x, ptr=ptr))
    assert counter.frame_count == 1


def test_half_precision_keeps_the_mean_of_long_sequences():
    model = SequenceModel(
        2, num_tokens=7, positions="none", mixer="linear", num_layers=1, hidden_channels=16
    )
    x = tokens(5_000)
    with torch.autocast("cpu", torch.bfloat16):
        half = model(x)
    torch.testing.assert_close(half.float(), model(x), rtol=0.05, atol=5e-3)


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({"mixer": "softmax"}, 1_057_034),
        ({"mixer": "linear"}, 1_057_034),
        ({"mixer": "performer"}, 1_057_034),
        ({"mixer": "linformer", "mixer_options": {"num_latents": 128}}, 3_154_186),
        ({"mixer": "multilinear", "mixer_options": {"states": 1}, "ffn_layers": 0}, 1_058_058),
        (
            {"mixer": "flare", "mixer_options": {"num_latents": 128}, "ffn_layers": 3,
             "mlp_ratio": 1.0},
            1_388_298,
        ),
    ],
    ids=str,
)  # fmt: skip
def test_sizes_of_the_comparison(options, count):
    model = SequenceModel(**LISTOPS, **options)
    assert sum(p.numel() for p in model.parameters()) == count + 128 * 16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mixer": "linear", "positions": "rotary"}, "'linear' has no queries.*'learned'"),
        ({"positions": "rotary", "repeat_positions": True}, "leave out repeat_positions"),
        ({"pair_features": "concat"}, "set documents=2"),
        ({"documents": 3}, "'documents' 1 or 2"),
        ({"max_length": None}, "'max_length' with learned"),
        ({"in_channels": 1}, "give one of them"),
        ({"num_tokens": None}, "give one of them"),
        ({"mixer": "softmx"}, "did you mean 'softmax'"),
        ({"positions": "rope"}, "unknown positions 'rope'"),
        ({"dropout": 1.0}, "'dropout' from 0"),
    ],
    ids=str,
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        SequenceModel(3, **SMALL | options)


@pytest.mark.parametrize(
    ("ptr", "options", "message"),
    [
        ([0, 4, 4, 9], {}, "at least one token in each sequence"),
        ([0, 9], {"max_length": 8}, "at most 8 tokens"),
        ([0, 9], {"documents": 2}, "two sequences of each pair"),
        ([0, 9], {"num_tokens": 3}, "tokens from 0 to 2"),
        ([0, 9], {"num_tokens": None, "in_channels": 2}, r"shape \[N, 2\]"),
    ],
)
def test_bad_input(ptr, options, message):
    with pytest.raises(ValueError, match=message):
        small(**options)(tokens(9), ptr=torch.tensor(ptr))
