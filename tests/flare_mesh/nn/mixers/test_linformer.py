import pytest
import torch

from flare_mesh.models import Backbone, load
from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixers.linformer import LinformerAttention

PARTS = [slice(0, 4), slice(4, 12), slice(12, 13)]
PTR = torch.tensor([0, 4, 4, 12, 13])


def attention(latents=5, **options):
    torch.manual_seed(0)
    layer = LinformerAttention(6, 2, latents, max_nodes=8, **options).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def numbers(*shape):
    return torch.randn(*shape, dtype=torch.float64)


def projected(layer, x):
    """Queries, keys and values of the two heads."""
    return (layer.project(x)[:, i * 6 : i * 6 + 6].split(3, dim=1) for i in range(3))


def written_out(layer, x, weight):
    """The formula for one graph."""
    q, k, v = projected(layer, x)
    n, heads = len(x), []
    weight = (weight / weight.mean())[:, None]
    for h in range(2):
        keys = layer.key_rows[:n].T @ (weight * k[h])
        values = layer.value_rows[:n].T @ (weight * v[h])
        heads.append(torch.softmax(q[h] @ keys.T / 3**0.5, 1) @ values)
    return layer.out(torch.cat(heads, 1))


@pytest.mark.parametrize("backend", ["sdpa", "reference", "numba"])
def test_against_the_formula(backend):
    layer = attention(backend=backend)
    x, weight = numbers(13, 6).requires_grad_(), torch.rand(13, dtype=torch.float64) + 0.1
    for w in (torch.ones_like(weight), weight):
        got = layer(x, graphs_of(x, ptr=PTR, weight=w if w is weight else None))
        want = torch.cat([written_out(layer, x[s], w[s]) for s in PARTS])
        torch.testing.assert_close(got, want)
        of = [x, *layer.parameters()]
        torch.testing.assert_close(*[torch.autograd.grad(y.sin().sum(), of) for y in (got, want)])


def test_unit_matrices_give_softmax_attention():
    layer, x = attention(latents=8), numbers(8, 6)
    for rows in (layer.key_rows, layer.value_rows):
        torch.nn.init.eye_(rows)
    q, k, v = projected(layer, x)
    heads = [torch.softmax(q[h] @ k[h].T / 3**0.5, 1) @ v[h] for h in range(2)]
    torch.testing.assert_close(layer(x, graphs_of(x)), layer.out(torch.cat(heads, 1)))


def test_larger_graphs_are_refused():
    layer = attention()
    x = numbers(14, 6)
    message = "at most 8 nodes.*got 9.; .*larger 'max_nodes'.*without a limit.*'nystromformer'"
    with pytest.raises(ValueError, match=message):
        layer(x[:9], graphs_of(x[:9]))
    with pytest.raises(ValueError, match=message):
        layer(x, graphs_of(x, ptr=torch.tensor([0, 5, 14])))


def test_the_size_of_the_comparison(tmp_path):
    model = Backbone(0, 1, pos_dim=2, mixer="linformer", mixer_options={"max_nodes": 972})
    assert sum(p.numel() for p in model.parameters()) == 4_406_529
    rows = model.blocks[0].attention.layer.key_rows
    assert abs(float(rows.detach().std()) * 8**0.5 - 1) < 0.01
    pos = torch.rand(9, 2)
    model.save(tmp_path)
    assert torch.equal(load(tmp_path)(None, pos), model(None, pos))


def test_bad_options():
    with pytest.raises(ValueError, match="unknown backend 'cuda'"):
        attention(backend="cuda")
    with pytest.raises(ValueError, match="expected 'max_nodes' >= 1"):
        LinformerAttention(6, 2, max_nodes=0)
