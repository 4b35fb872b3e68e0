import pytest
import torch

from flare_mesh import FLAREAttention, flare_attention
from flare_mesh.nn import FLAREBlock


def layer(**options):
    torch.manual_seed(0)
    module = FLAREAttention(12, heads=3, num_latents=4, **options)
    for parameter in module.parameters():  # the small initial weights hide mistakes
        torch.nn.init.normal_(parameter, std=0.3)
    return module


@pytest.mark.parametrize("qk_norm", [False, True])
def test_is_the_mixer_between_projections(qk_norm):
    module = layer(scale=0.5, kv_layers=1, qk_norm=qk_norm)
    x = torch.randn(9, 12)
    key, value = (p(x).view(9, 3, 4) for p in (module.key, module.value))
    query = module.latent_query
    if qk_norm:
        key, query = module.key_norm(key), module.query_norm(query)
    mixed = flare_attention(
        query, key, value, ptr=torch.tensor([0, 9]), scale=0.5, backend="reference"
    )
    torch.testing.assert_close(module(x), module.out(mixed.flatten(1)))


def test_batch_ptr_and_mask_agree():
    module = layer()
    x = torch.randn(10, 12)
    batch = torch.tensor([0] * 3 + [1] * 7)
    flat = module(x, batch)
    torch.testing.assert_close(module(x, ptr=torch.tensor([0, 3, 10])), flat)
    mask = torch.arange(7) < torch.tensor([[3], [7]])
    dense = torch.zeros(2, 7, 12)
    dense[mask] = x
    torch.testing.assert_close(module(dense, mask=mask)[mask], flat)
    torch.testing.assert_close(module(x[3:]), flat[3:])


@pytest.mark.parametrize("module", [layer(qk_norm=True), FLAREBlock(12, heads=3, num_latents=4)])
def test_every_parameter_gets_a_gradient(module):
    module(torch.randn(10, 12), batch=torch.tensor([0] * 3 + [1] * 7)).square().sum().backward()
    for name, parameter in module.named_parameters():
        # A shift of all keys alike cancels in the softmax over nodes, not in that over latents.
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


@pytest.mark.parametrize("qk_norm", [False, True])
def test_autocast(qk_norm):
    module = layer(qk_norm=qk_norm)
    x = torch.randn(10, 12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = module(x)
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), module(x), rtol=0.1, atol=0.1)


def test_initial_values():
    module = FLAREAttention(64, heads=8, num_latents=64)
    assert 0.09 < float(module.latent_query.detach().std()) < 0.11
    assert repr(module) == "FLAREAttention(64, heads=8, num_latents=64)"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"channels": 10, "heads": 3}, r"divisible by 'heads' \(got 10 channels, 3 heads\)"),
        ({"channels": 8, "num_latents": 0}, "'num_latents' >= 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        FLAREAttention(**options)


@pytest.mark.parametrize(
    ("x", "options", "message"),
    [
        (torch.zeros(5, 11), {}, r"'x' of shape \[N, 12\] or \[B, N, 12\] \(got \[5, 11\]\)"),
        (
            torch.zeros(5, 12),
            {"batch": torch.zeros(4, dtype=torch.long)},
            r"'batch' to be integers of shape \[5\]",
        ),
        (torch.zeros(2, 12), {"batch": torch.tensor([1, 0])}, "'batch' to be sorted"),
        (torch.zeros(2, 12), {"batch": torch.zeros(2)}, "'batch' to be integers"),
        (torch.zeros(1, 2, 12), {"ptr": torch.tensor([0, 2])}, "belong to flat input"),
        (torch.zeros(2, 12), {"mask": torch.ones(1, 2, dtype=torch.bool)}, "belongs to dense"),
        (
            torch.zeros(1, 2, 12),
            {"mask": torch.ones(1, 2, dtype=torch.bool), "group": object()},
            r"each process of a 'group' \(got a 'mask'\)",
        ),
        (
            torch.zeros(1, 2, 12),
            {"mask": torch.zeros(1, 2, dtype=torch.bool)},
            "at least one valid node in each graph",
        ),
        (torch.zeros(3, 12), {"weight": torch.tensor([1.0, -1, 1])}, "'weight' to be positive"),
    ],
)
def test_bad_input(x, options, message):
    with pytest.raises(ValueError, match=message):
        layer()(x, **options)
