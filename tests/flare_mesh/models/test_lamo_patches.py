"""LaMO on patches of a regular grid."""

import pytest
import torch
from torch.nn.functional import conv2d, gelu, layer_norm, softplus

from flare_mesh.models import LaMO

SHAPE, NODES = [3, 4], 12
SIZES = {"hidden_channels": 24, "num_layers": 2, "heads": 8, "state_size": 2, "mlp_ratio": 1.5,
         "pos_dim": 2, "grid_shape": SHAPE, "patch": 2, "padded_shape": [4, 6]}  # fmt: skip


def small(**options):
    torch.manual_seed(0)
    model = LaMO(1, 2, **{**SIZES, **options}).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.rand_like(parameter)
    return model


def draw(grids=1):
    generator = torch.Generator().manual_seed(1)
    numbers = torch.rand(grids * NODES, 3, generator=generator, dtype=torch.float64)
    return numbers[:, :1], numbers[:, 1:]


def reference(model, x, pos):
    """The equations for one grid, patch by patch and position by position."""
    p = dict(model.named_parameters())
    height, width = 2, 3  # patches

    def norm(h, name):
        return layer_norm(h, h.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    nodes = torch.zeros(4, 6, 3, dtype=torch.float64)
    nodes[:3, :4] = torch.cat([pos, x], 1).view(3, 4, 3)
    tokens = []
    for row in range(height):
        for column in range(width):
            patch = nodes[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            tokens.append(torch.einsum("ijf,cfij->c", patch, p["patches.join.weight"]))
    h = torch.stack(tokens) + p["patches.join.bias"]
    h = norm(h, "patches.join_norm") + p["patches.places"]
    rows = [*range(height * width)]
    columns = [row * width + column for column in range(width) for row in range(height)]
    for i in range(2):
        a = f"blocks.{i}.attention"
        inner = norm(h, f"blocks.{i}.norm1") @ p[f"{a}.project.weight"].T
        u, gate = inner.chunk(2, 1)
        grid = u.T.view(1, -1, height, width)
        weight, bias = p[f"{a}.convolution.weight"], p[f"{a}.convolution.bias"]
        u = gelu(conv2d(grid, weight, bias, padding=1, groups=len(weight))).view(len(weight), -1).T
        total = torch.zeros_like(u)
        for d, order in enumerate((rows, columns, rows[::-1], columns[::-1])):
            states = u.new_zeros(2, u.shape[1] // 2, 2)
            outputs = u * p[f"{a}.skip"][d]
            for t in order:
                step, key, query = (p[f"{a}.scan"][d] @ u[t]).split([2, 2, 2])
                step = softplus(step + p[f"{a}.step_bias"][d])
                decay = (-step * p[f"{a}.log_rate"][d].exp()).exp()
                taken = (step[:, None] * u[t].view(2, -1))[..., None] * key
                states = decay[:, None, None] * states + taken
                outputs = outputs.index_add(0, torch.tensor([t]), (states @ query).view(1, -1))
            total = total + outputs
        h = h + (norm(total, f"{a}.norm") * gelu(gate)) @ p[f"{a}.out.weight"].T
        m = norm(h, f"blocks.{i}.norm2") @ p[f"blocks.{i}.mlp.0.weight"].T
        m = gelu(m + p[f"blocks.{i}.mlp.0.bias"])
        h = h + m @ p[f"blocks.{i}.mlp.2.weight"].T + p[f"blocks.{i}.mlp.2.bias"]
    h = norm(h, "patches.split_norm") + p["patches.split_bias"]
    field = h.new_zeros(4, 6, 2)
    for number, token in enumerate(h):
        row, column = divmod(number, width)
        patch = torch.einsum("c,coij->ijo", token, p["patches.split.weight"])
        field[2 * row : 2 * row + 2, 2 * column : 2 * column + 2] = patch
    return field[:3, :4].reshape(-1, 2)


def test_equations():
    model = small()
    x, pos = (t.requires_grad_() for t in draw())
    ours, theirs = model(x, pos), reference(model, x, pos)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    given, factor = [x, pos, *model.parameters()], torch.randn_like(ours)
    for got, right in zip(
        torch.autograd.grad((ours * factor).sum(), given),
        torch.autograd.grad((theirs * factor).sum(), given),
        strict=True,
    ):
        assert float(got.abs().max()) > 0
        torch.testing.assert_close(got, right, rtol=1e-8, atol=1e-9)


def test_grids_of_a_batch_are_independent(tmp_path):
    model = small()
    x, pos = draw(3)
    ptr = torch.tensor([0, 0, NODES, 2 * NODES, 3 * NODES])
    together = model(x, pos, ptr=ptr)
    alone = [model(*graph) for graph in zip(x.split(NODES), pos.split(NODES), strict=True)]
    torch.testing.assert_close(together, torch.cat(alone))
    none = model(x[:0], pos[:0])
    assert none.shape == (0, 2)
    none.sum().backward()
    assert all(p.grad is not None for p in model.parameters())
    torch.testing.assert_close(small(checkpointing=True)(x, pos, ptr=ptr), together)
    single = model.float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = single(x.float(), pos.float(), ptr=ptr)
    assert float((half - together).detach().norm() / together.detach().norm()) < 0.1
    single.save(tmp_path)
    again = LaMO.load(tmp_path)
    first = (x[:NODES].float(), pos[:NODES].float())
    assert torch.equal(again(*first), single(*first))


def test_number_of_parameters():
    """Of the authors' code for Darcy and Navier-Stokes, without two unused parameters."""
    for shape, padded, c, inputs, count in (
        ([85, 85], [88, 88], 64, 1, 1_145_984),
        ([64, 64], None, 256, 10, 10_061_312),
    ):
        with torch.device("meta"):
            model = LaMO(inputs, 1, hidden_channels=c, patch=2, grid_shape=shape, mlp_ratio=4.0,
                         padded_shape=padded, pos_dim=2)  # fmt: skip
        assert sum(p.numel() for p in model.parameters()) == count


def test_refusals():
    for options, match in (
        ({"grid_shape": None}, "a 'grid_shape' of two axes .* leave out 'patch' for meshes"),
        ({"grid_shape": [3, 4, 5]}, "a 'grid_shape' of two axes"),
        ({"patch": None}, "expected 'patch', the nodes of a patch, with 'padded_shape'"),
        ({"padded_shape": [4, 5]}, r"multiples of 2, .* at least \[3, 4\]"),
        ({"padded_shape": [2, 4]}, "at least"),
        ({"num_slices": 5, "shared_slices": False}, "no use for num_slices, shared_slices;"),
        ({"hidden_channels": 40, "expand": 1}, "40 channels to be divisible by 3 heads"),
        ({"patch": 0}, "'size' >= 1"),
    ):
        with pytest.raises(ValueError, match=match):
            small(**options)
    model, (x, pos) = small(), draw()
    with pytest.raises(ValueError, match="expected no 'weight' with 'patch'"):
        model(x, pos, weight=torch.ones(NODES, dtype=torch.float64))
    with pytest.raises(
        ValueError, match=r"grids of 3 x 4 = 12 nodes, .* \(got a graph of 11 nodes"
    ):
        model(x[1:], pos[1:])
