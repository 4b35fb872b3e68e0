import pytest
import torch

from flare_mesh.nn import CausalFLAREAttention


@pytest.fixture(params=["shared", "separate"])
def layer(request):
    torch.manual_seed(0)
    return CausalFLAREAttention(12, 3, 5, decode=request.param, kv_layers=1).double()


def tokens(count):
    return torch.randn(count, 12, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_dense_with_mask_is_ragged(layer):
    x, ptr = tokens(16), torch.tensor([0, 6, 16])
    flat = layer(x, ptr=ptr)
    dense = torch.full((2, 10, 12), torch.nan, dtype=torch.float64)
    dense[0, :6], dense[1] = x[:6], x[6:]
    mask = torch.arange(10) < torch.tensor([[6], [10]])
    got = layer(dense, mask=mask)
    torch.testing.assert_close(got[mask], flat)
    assert not got[~mask].any()
    torch.testing.assert_close(layer(x, torch.tensor([0] * 6 + [1] * 10)), flat)


def test_token_by_token_is_all_at_once(layer):
    x = tokens(9)
    whole, state = layer(x)[4:], None
    _, state = layer(x[:4], return_state=True)
    for t in range(4, 9):
        out, state = layer(x[t : t + 1], state=state, return_state=True)
        torch.testing.assert_close(out[0], whole[t - 4])


def test_every_parameter_gets_a_gradient(layer):
    layer(tokens(9)).square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in layer.parameters())


def test_bad_input(layer):
    with pytest.raises(ValueError, match=r"expected 'x' of shape \[N, 12\]"):
        layer(torch.zeros(3, 5))
    with pytest.raises(ValueError, match="belong to flat input"):
        layer(torch.zeros(1, 3, 12), ptr=torch.tensor([0, 3]))
    with pytest.raises(ValueError, match="decode"):
        CausalFLAREAttention(12, 3, decode="fused")
