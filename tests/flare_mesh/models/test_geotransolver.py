import pytest
import torch
from torch.nn.functional import gelu, layer_norm

from flare_mesh.models import GeoTransolver, Transolver
from flare_mesh.nn.slice_context import limited
from flare_mesh.ops.radius_graph import radius_graph
from flare_mesh.testing import assert_graphs_independent, random_graph

SIZES = {"hidden_channels": 8, "num_layers": 2, "heads": 2, "num_slices": 3, "mlp_ratio": 1.5}
LOCAL = {"radii": [0.7, 1.5], "neighbors": [3, 5], "local_channels": 4}


def scattered(model):
    """The model in float64 with parameters that all differ."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in model.double().parameters():
            parameter += 0.3 * torch.rand_like(parameter)
    return model


def graph(n=11):
    data = random_graph(n, 2, seed=1, dtype=torch.float64)
    data.edge_index = radius_graph(data.pos, 1.5, max_neighbors=4)
    return data


def reference(model, x, pos, weight):
    """The equations, head by head; neighbours by brute force."""
    p, config = dict(model.named_parameters()), model.config
    weight = weight * len(weight) / weight.sum()

    def affine(h, name):
        bias = p.get(f"{name}.bias")
        return h @ p[f"{name}.weight"].T + (0.0 if bias is None else bias)

    def norm(h, name):
        return layer_norm(h, h.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    def attend(q, k, v, scale, w=1.0):
        scores = (scale * q @ k.T).exp() * w
        return scores / scores.sum(1, keepdim=True) @ v

    def slices(n, a, head, values, weight=weight):
        """Shares [N, G] and slices [G, D] of one head."""
        width = values.shape[1] // config["heads"]
        part = slice(head * width, (head + 1) * width)
        temperature = p[f"{a}.temperature"][head, 0, 0]
        scores = affine(affine(n, f"{a}.project")[:, part], f"{a}.slices") / temperature
        shares = scores.exp() / scores.exp().sum(1, keepdim=True)
        sums = (weight[:, None] * shares).T
        return shares, sums @ values[:, part] / (sums.sum(1, keepdim=True) + 1e-5)

    local = []
    for i, (radius, number) in enumerate(zip(config["radii"], config["neighbors"], strict=True)):
        rows = []
        for node in range(len(pos)):
            distance = (pos - pos[node]).norm(dim=1)
            near = [j for j in distance.argsort().tolist() if distance[j] <= radius][:number]
            rows.append(torch.cat([pos[near].flatten(), pos.new_zeros(3 * (number - len(near)))]))
        h = gelu(affine(torch.stack(rows), f"local.{i}.mlp.0"))
        local.append(affine(gelu(affine(h, f"local.{i}.mlp.2")), f"local.{i}.mlp.4").tanh())
    context = []
    for head in range(config["heads"]):
        parts = []
        for i, f in enumerate([*local, pos]):
            a = f"contexts.{i}"
            parts.append(slices(f, a, head, affine(f, f"{a}.project_value"))[1])
        if config["global_channels"]:
            a = f"contexts.{len(local) + 1}"
            f = (weight[:, None] * x[:, config["global_channels"]]).mean(0, keepdim=True)
            one = torch.ones(1, dtype=x.dtype)
            parts.append(slices(f, a, head, affine(f, f"{a}.project_value"), one)[1])
        context.append(torch.cat(parts, dim=1))

    own = [i for i in range(x.shape[1]) if i not in config["global_channels"]]
    h = affine(gelu(affine(torch.cat([pos, x[:, own]], dim=1), "embed.0")), "embed.2")
    h = torch.cat([h, *local], dim=1)
    for i in range(config["num_layers"]):
        a, n, mixed = f"blocks.{i}.attention", norm(h, f"blocks.{i}.norm1"), []
        width = n.shape[1] // config["heads"]
        gate = p.get(f"{a}.context.gate")

        def mix(own, cross, gate=gate, a=a):
            if gate is None:
                return gelu(affine(torch.cat([own, cross], dim=1), f"{a}.context.join"))
            return gate.sigmoid() * own + (1 - gate.sigmoid()) * cross

        for head in range(config["heads"]):
            c = context[head]
            ck, cv = affine(c, f"{a}.context.key"), affine(c, f"{a}.context.value")
            if config["mixer"] == "slices":
                shares, z = slices(n, a, head, affine(n, f"{a}.project_value"))
                q, k, v = (affine(z, f"{a}.{name}") for name in ("query", "key", "value"))
                own = attend(q, k, v, width**-0.5)
                cross = attend(affine(z, f"{a}.context.query"), ck, cv, width**-0.5)
                mixed.append(shares @ mix(own, cross))
            else:
                t = affine(n, f"{a}.project")[:, head * width : (head + 1) * width]
                q, k, v = (
                    p[f"{a}.latent_query"][head],
                    affine(t, f"{a}.key"),
                    affine(t, f"{a}.value"),
                )
                own = attend(k, q, attend(q, k, v, 1.0, weight), 1.0)
                cross = attend(affine(t, f"{a}.context.query"), ck, cv, 1.0)
                mixed.append(mix(own, cross))
        h = h + affine(torch.cat(mixed, dim=1), f"{a}.out")
        n = norm(h, f"blocks.{i}.norm2")
        h = h + affine(gelu(affine(n, f"blocks.{i}.mlp.0")), f"blocks.{i}.mlp.2")
    return affine(norm(h, "norm"), "head")


@pytest.mark.parametrize(
    ("options", "weighted"),
    [
        ({}, False),
        ({"mixing": "concat"}, True),
        ({"mixer": "flare"}, True),
        ({"global_channels": [1]}, True),
        ({"global_channels": [1, 0]}, False),
    ],
    ids=["gate", "concat", "flare", "global", "two global"],
)
def test_equations(options, weighted):
    model, data = scattered(GeoTransolver(2, 3, **SIZES, **LOCAL, **options)), graph()
    weight = torch.rand(11, dtype=torch.float64) + 0.5 if weighted else None
    given = torch.ones(11, dtype=torch.float64) if weight is None else weight
    x, pos = data.x.requires_grad_(), data.pos.requires_grad_()
    ours = model(x, pos, weight=weight, edge_index=data.edge_index)
    theirs = reference(model, x, pos, given)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    assert float(ours.detach().std(dim=0).min()) > 1e-3
    inputs, factor = [x, pos, *model.parameters()], torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad((ours * factor).sum(), inputs),
        torch.autograd.grad((theirs * factor).sum(), inputs),
        strict=True,
    ):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


def test_temperatures_are_limited_and_can_return():
    given = torch.tensor([0.1, 0.5, 2.0, 9.0], requires_grad=True)
    (grad,) = torch.autograd.grad(limited(given).square().sum(), given)
    torch.testing.assert_close(limited(given).detach(), torch.tensor([0.5, 0.5, 2.0, 5.0]))
    torch.testing.assert_close(grad, torch.tensor([1.0, 1.0, 4.0, 10.0]))


def test_without_neighbourhoods_and_context_it_is_transolver():
    """The gate at 1; the vector that Transolver adds to the embedding is a bias."""
    transolver = scattered(Transolver(2, 3, **SIZES))
    model = GeoTransolver(2, 3, **SIZES, radii=[], neighbors=[]).double()
    assert not model.uses_edges
    weights = transolver.state_dict()
    weights["embed.2.bias"] = weights["embed.2.bias"] + weights.pop("placeholder")
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert unexpected == []
    assert all("context" in name for name in missing)
    data = random_graph(11, 2, seed=1, dtype=torch.float64)
    with torch.no_grad():
        assert not torch.allclose(model(data), transolver(data))
        for block in model.blocks:
            block.attention.context.gate.fill_(50.0)
        torch.testing.assert_close(model(data), transolver(data), rtol=1e-12, atol=1e-12)


def test_the_context_does_not_depend_on_the_order_of_the_nodes():
    model, data = scattered(GeoTransolver(2, 3, **SIZES, **LOCAL)), graph()
    found = []
    model.blocks[0].register_forward_pre_hook(lambda _, inputs: found.append(inputs[2]))
    order = torch.randperm(11, generator=torch.Generator().manual_seed(0))
    edges = order.argsort()[data.edge_index]
    with torch.no_grad():
        model(data)
        model(data.x[order], data.pos[order], edge_index=edges)
    assert found[0].shape == (1, 2, 3, 12)
    assert float(found[0].std()) > 1e-3
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-12)


def test_quantities_of_a_case_are_of_its_own_graph():
    """Also of graphs without nodes and of one node, and with nodes of other graphs in the batch."""
    model = scattered(GeoTransolver(2, 3, **SIZES, radii=[], neighbors=[], global_channels=[0]))
    graphs = [random_graph(n, 2, seed=n, dtype=torch.float64) for n in (7, 1, 4)]
    for number, one in enumerate(graphs):
        one.x[:, 0] = number
    assert_graphs_independent(model, graphs, atol=1e-10)
    x, pos = (torch.cat([one[key] for one in graphs]) for key in ("x", "pos"))
    out = model(x, pos, ptr=torch.tensor([0, 7, 7, 8, 12]))
    torch.testing.assert_close(out[8:], model(graphs[2]))
    graphs[2].x[:, 0] = 5.0
    assert not torch.allclose(out[8:], model(graphs[2]))
    assert model(x[:0], pos[:0]).shape == (0, 3)


def count(features, pos_dim, outputs, c, layers, heads, slices, ratio, f, neighbors):
    """Number of parameters, by the formula."""

    def linear(inputs, outputs):
        return inputs * outputs + outputs

    local = [linear(pos_dim * k, f) + linear(f, f // 2) + linear(f // 2, f) for k in neighbors]
    sources = [*[f] * len(neighbors), pos_dim]
    context = [2 * linear(s, c) + linear(c // heads, slices) + heads for s in sources]
    w = c + f * len(neighbors)
    d = w // heads
    cross = linear(d, d) + 2 * linear(len(sources) * c // heads, d) + 1
    attention = 3 * linear(w, w) + linear(d, slices) + 3 * d * d + heads + cross
    block = 4 * w + attention + linear(w, ratio * w) + linear(ratio * w, w)
    embed = linear(pos_dim + features, 2 * c) + linear(2 * c, c)
    return embed + sum(local) + sum(context) + layers * block + 2 * w + linear(w, outputs)


def test_number_of_parameters():
    """The sizes of the authors' code: its default, and its recipe for cars."""
    assert count(0, 2, 1, 256, 4, 8, 32, 4, 32, (8, 32)) == 4_760_157
    assert count(0, 3, 1, 256, 20, 8, 128, 2, 32, (8, 32, 64, 128)) == 21_592_669
    model = GeoTransolver(
        2, 6, hidden_channels=16, heads=4, num_slices=5, mlp_ratio=2, num_layers=3,
        radii=[0.1, 0.3], neighbors=[4, 7], local_channels=8,
    )  # fmt: skip
    found = sum(p.numel() for p in model.parameters())
    assert found == count(2, 3, 6, 16, 3, 4, 5, 2, 8, (4, 7))


def test_missing_edges_and_wrong_options_are_refused():
    model, data = GeoTransolver(2, 3, **SIZES, **LOCAL).double(), graph()
    with pytest.raises(ValueError, match=r"'radius_edges' with radius=1.5 and max_neighbors=4"):
        model(data.x, data.pos)
    with pytest.raises(ValueError, match="GeoTransolver: expected node numbers from 0 to 10"):
        model(data.x, data.pos, edge_index=torch.tensor([[0], [11]]))
    for options, match in (
        ({"radii": [0.1]}, "as many 'neighbors' as 'radii'"),
        ({"mixer": "softmax"}, "unknown mixer 'softmax'"),
        ({"mixing": "sum"}, "unknown mixing 'sum'"),
        ({"local_channels": 3, "heads": 8}, "divisible by 'heads'"),
        ({"radii": [0.1, -1.0]}, "'radius' to be positive"),
        ({"global_channels": [2]}, r"'global_channels' among the 2 channels of x, .* \(got \[2\]"),
        ({"global_channels": [1, 1]}, "each once"),
    ):
        with pytest.raises(ValueError, match=match):
            GeoTransolver(2, 3, **{**SIZES, **LOCAL, **options})
