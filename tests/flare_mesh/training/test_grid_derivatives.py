import itertools

import pytest
import torch

from flare_mesh.training.grid_derivatives import derivative_error


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def definition(prediction, target, channels, shape, weight=None):
    """Node by node: fields that are zero on the border and outside."""
    graphs = len(target) // torch.Size(shape).numel()
    fields = [t.reshape(graphs, *shape, -1) for t in (prediction - target, target)]
    weight = torch.ones(len(target)) if weight is None else weight
    weight = weight.reshape(graphs, *shape)
    result = torch.zeros(graphs, len(channels), dtype=torch.float64)

    def at(field, graph, place):
        inside = all(0 < i < n - 1 for i, n in zip(place, shape, strict=True))
        return field[(graph, *place)] if inside else torch.zeros(field.shape[-1]).double()

    for graph, axis in itertools.product(range(graphs), range(len(shape))):
        sums = torch.zeros(2, sum(channels), dtype=torch.float64)
        for place in itertools.product(*map(range, shape)):
            ends = [list(place), list(place)]
            ends[0][axis] += 1
            ends[1][axis] -= 1
            for row, field in enumerate(fields):
                slope = at(field, graph, tuple(ends[0])) - at(field, graph, tuple(ends[1]))
                sums[row] += weight[(graph, *place)] * slope.square()
        error, norm = (part.split(channels) for part in sums)
        for f in range(len(channels)):
            result[graph, f] += (error[f].sum() / norm[f].sum()).sqrt()
    return result


@pytest.mark.parametrize("shape", [(7,), (4, 6), (3, 5, 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_definition(shape, weighted):
    nodes, channels = 2 * torch.Size(shape).numel(), [1, 2]
    prediction, target = draw(nodes, 3), draw(nodes, 3, seed=1)
    weight = draw(nodes, seed=2).exp() if weighted else None
    got = derivative_error(prediction, target, channels, shape, weight=weight)
    torch.testing.assert_close(got, definition(prediction, target, channels, shape, weight))


def test_sines():
    """u = sin(pi x) sin(pi y) with an error of e sin(2 pi x) sin(pi y): 2e along x, e along y."""
    line = torch.linspace(0, 1, 401, dtype=torch.float64) * torch.pi
    target = line.sin()[:, None] * line.sin()
    error = 0.1 * (2 * line).sin()[:, None] * line.sin()
    got = derivative_error(
        (target + error).view(-1, 1), target.view(-1, 1), [1], (len(line), len(line))
    )
    torch.testing.assert_close(got, torch.tensor([[0.3]]).double(), rtol=1e-3, atol=0)


def test_values_on_the_border_have_no_effect():
    prediction, target = draw(20, 1), draw(20, 1, seed=1)
    want = derivative_error(prediction, target, [1], (4, 5))
    border = torch.ones(4, 5, dtype=torch.bool)
    border[1:-1, 1:-1] = False
    prediction[border.flatten()] = 100.0
    assert torch.equal(derivative_error(prediction, target, [1], (4, 5)), want)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_gradients_are_finite(value):
    target = torch.full((20, 1), value)
    for offset in (0.0, 1.0):
        prediction = (target + offset).requires_grad_()
        derivative_error(prediction, target, [1], (4, 5)).sum().backward()
        assert prediction.grad is not None
        assert bool(prediction.grad.isfinite().all())


def test_wrong_grids():
    with pytest.raises(ValueError, match=r"whole grids of 4 x 5 nodes, .* \(got 21 nodes\)"):
        derivative_error(torch.zeros(21, 1), torch.zeros(21, 1), [1], (4, 5))
    with pytest.raises(ValueError, match=r"at least 3 along each axis"):
        derivative_error(torch.zeros(20, 1), torch.zeros(20, 1), [1], (2, 10))
