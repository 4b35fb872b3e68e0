import pytest
import torch

from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixers.shared_flare import SharedFLAREAttention


@pytest.mark.parametrize("backend", ["auto", "sdpa"])
def test_written_out(backend):
    torch.manual_seed(0)
    layer = SharedFLAREAttention(6, 2, 5, backend=backend).double()
    x, weight = torch.randn(7, 6).double(), torch.rand(7).double() + 0.5
    p = layer.project(x).unflatten(-1, (2, 3)).transpose(0, 1)
    key, value = layer.key(p), layer.value(p)
    score = layer.latent_query @ key.transpose(-1, -2)  # [H, M, N]
    latents = (score + weight.log()).softmax(-1) @ value
    heads = score.softmax(-2).transpose(-1, -2) @ latents
    expected = layer.out(heads.transpose(0, 1).flatten(-2))
    torch.testing.assert_close(layer(x, graphs_of(x, weight=weight)), expected)


def test_size():
    """2 C^2 + 2 C + 2 (D^2 + D) + M C, as PhysicsNeMo's layer."""
    size = sum(p.numel() for p in SharedFLAREAttention(64, 8, 64).parameters())
    assert size == 2 * 64**2 + 2 * 64 + 2 * (8**2 + 8) + 64 * 64
    # In their model of 8 such blocks, whose input and output networks are Transolver's.
    block = size + 4 * 64 + 2 * 4 * 64**2 + 5 * 64
    ends = (2 * 128 + 128) + (128 * 64 + 64) + 64 + 2 * 64 + (64 + 1)
    assert 8 * block + ends == 376_129
