import pytest
import torch

from flare_mesh.ops import trilinear


@pytest.mark.parametrize("pieces", [False, True])
def test_moments_and_contraction_with_all_derivatives(monkeypatch, pieces):
    if pieces:  # of two rows
        monkeypatch.setattr(trilinear, "_PRODUCTS", {})
        monkeypatch.setattr(trilinear, "_FEWEST_ROWS", 2)
        monkeypatch.setitem(trilinear._PRODUCTS, "cpu", 1)
    torch.manual_seed(0)
    a, b, c = (torch.randn(2, 5, d, dtype=torch.float64, requires_grad=True) for d in (2, 4, 3))
    found = trilinear.third_moments(a, b, c)
    torch.testing.assert_close(found, torch.einsum("hni,hnj,hnk->hijk", a, b, c))
    read = trilinear.contract(found, b, c)
    torch.testing.assert_close(read, torch.einsum("hijk,hnj,hnk->hni", found, b, c))

    def composed(a, b, c):
        return trilinear.contract(trilinear.third_moments(a, b, c), b, c)

    assert torch.autograd.gradcheck(composed, (a, b, c))
    assert torch.autograd.gradgradcheck(composed, (a, b, c))


def test_no_rows():
    a, b, c = (torch.ones(2, 0, d) for d in (2, 4, 3))
    moments = trilinear.third_moments(a, b, c)
    assert moments.equal(torch.zeros(2, 2, 4, 3))
    assert trilinear.contract(moments, b, c).shape == (2, 0, 2)
