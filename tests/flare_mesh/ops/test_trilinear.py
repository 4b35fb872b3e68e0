import torch

from flare_mesh.nn.graph_products import GraphProducts
from flare_mesh.ops import trilinear
from flare_mesh.ops.layout import Layout


def test_moments_and_contraction_with_all_derivatives(monkeypatch):
    monkeypatch.setattr(trilinear, "_COLUMNS", 6)  # three pieces
    torch.manual_seed(0)
    layout = Layout(torch.tensor([0, 5, 5, 6]))
    products = GraphProducts(layout, 6)
    sizes = ((6, 2, 2), (6, 2, 5), (6, 2, 3))
    a, b, c = (torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes)
    found = trilinear.third_moments(a, b, c, products)
    expected = torch.stack(
        [
            torch.einsum("nhi,nhj,nhk->hijk", a[p], b[p], c[p])
            for p in (slice(5), slice(0), slice(5, 6))
        ]
    )
    torch.testing.assert_close(found, expected)
    read = trilinear.contract(found, b, c, products)
    graph = [0] * 5 + [2]
    torch.testing.assert_close(read, torch.einsum("nhijk,nhj,nhk->nhi", expected[graph], b, c))

    def composed(a, b, c):
        return trilinear.contract(trilinear.third_moments(a, b, c, products), b, c, products)

    assert torch.autograd.gradcheck(composed, (a, b, c))
    assert torch.autograd.gradgradcheck(composed, (a, b, c))
