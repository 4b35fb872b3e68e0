"""The resolver, and what holds for every encoder that it builds."""

import pytest
import torch
from torch import nn

from flare_mesh.nn.encoders import FourierEncoder, GraphEncoder, MLPEncoder, build_encoder

CASES = {
    "mlp": ("mlp", {}),
    "fourier": ("fourier", {"num_frequencies": 5}),
    "fourier-learned": ("fourier", {"num_frequencies": 5, "learned": True}),
    "graph": ("graph", {"radius": 1.2, "max_neighbors": 6}),
}


def encoder(case, in_channels=2, pos_dim=3, seed=0):
    name, options = CASES[case]
    torch.manual_seed(seed)
    module = build_encoder(name, in_channels, 8, pos_dim, **options)
    for parameter in module.parameters():  # the small initial weights hide mistakes
        nn.init.normal_(parameter, std=0.4)
    return module


def nodes(count, in_channels=2, pos_dim=3, dtype=torch.float32):
    generator = torch.Generator().manual_seed(count)
    x = torch.randn(count, in_channels, generator=generator, dtype=dtype)
    return (x if in_channels else None), torch.randn(
        count, pos_dim, generator=generator, dtype=dtype
    )


@pytest.mark.parametrize(
    ("name", "kind", "pointwise"),
    [("mlp", MLPEncoder, True), ("fourier", FourierEncoder, True), ("graph", GraphEncoder, False)],
)
def test_names(name, kind, pointwise):
    module = build_encoder(name, 2, 8, 3)
    assert type(module) is kind
    assert module.pointwise is pointwise
    assert (module.in_channels, module.hidden_channels, module.pos_dim) == (2, 8, 3)


def test_a_module_is_returned_as_it_is():
    module = nn.Identity()
    assert build_encoder(module, 2, 8, 3) is module
    with pytest.raises(ValueError, match=r"got \['radius'\] with a module of type Identity"):
        build_encoder(module, 2, 8, 3, radius=1.0)


def test_unknown_name():
    with pytest.raises(ValueError, match=r"'cnn'; choose from \['mlp', 'fourier', 'graph'\]"):
        build_encoder("cnn", 2, 8, 3)


@pytest.mark.parametrize("case", CASES)
def test_batch_is_single(case):
    module = encoder(case)
    sizes = [9, 0, 1, 14]  # an empty graph, and one of a single node
    graphs = [nodes(size) for size in sizes]
    x, pos = (torch.cat(parts) for parts in zip(*graphs, strict=True))
    ptr = torch.tensor([0, *sizes]).cumsum(0)
    together = module(x, pos, ptr=ptr)
    assert together.shape == (24, 8)
    torch.testing.assert_close(together, torch.cat([module(*graph) for graph in graphs]))


@pytest.mark.parametrize("case", CASES)
def test_order_of_nodes(case):
    module = encoder(case)
    x, pos = nodes(20)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(module(x[order], pos[order]), module(x, pos)[order])


@pytest.mark.parametrize("case", CASES)
def test_pointwise_or_not(case):
    module = encoder(case)
    x, pos = nodes(20)
    changed = x.clone()
    changed[0] += 1
    same = (module(changed, pos) == module(x, pos)).all(1)
    assert not same[0]
    assert bool(same[1:].all()) is module.pointwise


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("in_channels", [0, 1])
@pytest.mark.parametrize("pos_dim", [1, 2, 3])
def test_sizes(case, in_channels, pos_dim):
    x, pos = nodes(7, in_channels, pos_dim)
    code = encoder(case, in_channels, pos_dim)(x, pos)
    assert code.shape == (7, 8)
    assert bool(code.isfinite().all())


@pytest.mark.parametrize("case", CASES)
def test_every_parameter_gets_a_gradient(case):
    module = encoder(case)
    module(*nodes(12)).square().sum().backward()
    for name, parameter in module.named_parameters():
        assert parameter.grad is not None, name
        assert float(parameter.grad.abs().max()) > 0, name


@pytest.mark.parametrize("case", CASES)
def test_float64(case):
    module, (x, pos) = encoder(case), nodes(12, dtype=torch.float64)
    single = module(x.float(), pos.float())
    double = module.double()(x, pos)
    assert double.dtype == torch.float64
    torch.testing.assert_close(double.float(), single, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_autocast(case):
    module, (x, pos) = encoder(case), nodes(12)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = module(x, pos)
    torch.testing.assert_close(half.float(), module(x, pos), rtol=0.1, atol=0.3)


@pytest.mark.parametrize("case", CASES)
def test_state_dict_round_trip(case):
    module, other = encoder(case), encoder(case, seed=1)
    x, pos = nodes(12)
    assert not torch.allclose(other(x, pos), module(x, pos))
    other.load_state_dict(module.state_dict())
    torch.testing.assert_close(other(x, pos), module(x, pos))


@pytest.mark.parametrize("case", CASES)
def test_seed_and_reset(case):
    name, options = CASES[case]
    torch.manual_seed(3)
    first = build_encoder(name, 2, 8, 3, **options).state_dict()
    torch.manual_seed(3)
    module = build_encoder(name, 2, 8, 3, **options)
    for key, value in module.state_dict().items():
        torch.testing.assert_close(value, first[key], rtol=0, atol=0)
    module.reset_parameters()
    for key, value in module.state_dict().items():
        assert ("bias" in key) is torch.equal(value, first[key]), key


@pytest.mark.parametrize("case", CASES)
def test_compiles(case):
    module, (x, pos) = encoder(case), nodes(12)
    compiled = torch.compile(module, backend="eager", fullgraph=module.pointwise)
    torch.testing.assert_close(compiled(x, pos), module(x, pos))


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    ("x", "pos", "message"),
    [
        (torch.zeros(5, 2), torch.zeros(5, 2), r"'pos' of shape \[N, 3\] \(got \[5, 2\]\)"),
        (torch.zeros(4, 2), torch.zeros(5, 3), r"'x' of shape \[5, 2\] \(got \[4, 2\]\)"),
        (None, torch.zeros(5, 3), r"'x' of shape \[5, 2\] \(got None\)"),
    ],
)
def test_bad_input(case, x, pos, message):
    module = encoder(case)
    with pytest.raises(ValueError, match=f"{type(module).__name__}: expected {message}"):
        module(x, pos)


@pytest.mark.parametrize("name", ["mlp", "fourier", "graph"])
@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((-1, 8, 3), r"'in_channels' >= 0 \(got -1\)"),
        ((0, 0, 3), r"'hidden_channels' >= 1 \(got 0\)"),
        ((0, 8, 0), r"'pos_dim' >= 1 \(got 0\)"),
    ],
)
def test_bad_sizes(name, sizes, message):
    with pytest.raises(ValueError, match=message):
        build_encoder(name, *sizes)
