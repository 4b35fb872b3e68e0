import pytest
import torch
from torch.nn.functional import gelu, layer_norm, linear

from flare_mesh.nn.latent_block import LatentBlock


@pytest.mark.parametrize("bias", [False, True])
def test_against_the_equations(bias):
    torch.manual_seed(0)
    block = LatentBlock(6, 2, mlp_ratio=1.5, bias=bias).double()
    for parameter in block.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(2, 5, 6, dtype=torch.float64)
    n = layer_norm(x, (6,), block.norm1.weight, block.norm1.bias)
    q, k, v = linear(n, block.query_key_value.weight, block.query_key_value.bias).chunk(3, dim=-1)
    heads = []
    for h in (slice(0, 3), slice(3, 6)):
        scores = q[..., h] @ k[..., h].transpose(1, 2) / 3**0.5
        heads.append(torch.softmax(scores, -1) @ v[..., h])
    x2 = x + linear(torch.cat(heads, -1), block.out.weight, block.out.bias)
    n = layer_norm(x2, (6,), block.norm2.weight, block.norm2.bias)
    first, last = block.mlp.layers
    hidden = gelu(linear(n, first.weight, first.bias), approximate="tanh")
    assert hidden.shape[-1] == 9
    torch.testing.assert_close(block(x), x2 + linear(hidden, last.weight, last.bias))


def test_options():
    assert LatentBlock(8).query_key_value.bias is None
    with pytest.raises(ValueError, match="8 channels, 3 heads"):
        LatentBlock(8, 3)
    with pytest.raises(ValueError, match="'mlp_ratio'"):
        LatentBlock(8, 2, mlp_ratio=0.1)
    assert repr(LatentBlock(8, 2)) == "LatentBlock(8, heads=2)"
