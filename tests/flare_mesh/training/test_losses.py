import pytest
import torch
from torch import distributed as dist
from torch_geometric.data import Batch, Data

from flare_mesh.testing import run_processes
from flare_mesh.training import relative_l2
from flare_mesh.training.graph_sums import graph_sums
from flare_mesh.training.grid_derivatives import derivative_error
from flare_mesh.training.losses import FieldLoss, LossConfig

NAMES = ["relative_l2", "relative_l1", "l1", "mse"]
CHANNELS = [2, 1]


def graphs(sizes=(5, 1, 8), seed=0):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    cases = [
        Data(pos=draw(n, 2), y=draw(n, 3), weight=draw(n).exp(), prediction=draw(n, 3))
        for n in sizes
    ]
    return Batch.from_data_list(cases)


def definition(name, error, target, weight):
    """The loss of one graph and field."""
    w = weight[:, None]
    if name == "relative_l2":
        return ((w * error**2).sum() / (w * target**2).sum()).sqrt()
    if name == "relative_l1":
        return (w * error.abs()).sum() / (w * target.abs()).sum()
    powers = error.abs() if name == "l1" else error**2
    return (w * powers).sum() / (w * torch.ones_like(error)).sum()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("weighted", [False, True])
def test_definitions(name, weighted):
    data = graphs()
    loss = FieldLoss(LossConfig(name=name, node_weights=weighted), CHANNELS)
    got = loss(data.prediction, data.y, data)
    assert got.shape == (3, 2)
    for b, case in enumerate(data.to_data_list()):
        weight = case.weight if weighted else torch.ones(case.num_nodes)
        torch.testing.assert_close(loss(case.prediction, case.y, case), got[b : b + 1])
        for f, field in enumerate((slice(0, 2), slice(2, 3))):
            error = (case.prediction - case.y)[:, field]
            torch.testing.assert_close(got[b, f], definition(name, error, case.y[:, field], weight))


def test_the_default_is_the_metric():
    data = graphs()
    got = FieldLoss(LossConfig(), CHANNELS)(data.prediction, data.y, data)
    assert torch.equal(got, relative_l2(data.prediction, data.y, CHANNELS, data.batch))


def test_derivatives_are_added():
    data, grid = graphs((12, 12)), (3, 4)
    for weighted in (False, True):
        config = LossConfig(name="l1", derivative=0.1, node_weights=weighted)
        plain = FieldLoss(LossConfig(name="l1", node_weights=weighted), CHANNELS)
        errors = derivative_error(
            data.prediction, data.y, CHANNELS, grid, weight=data.weight if weighted else None
        )
        got = FieldLoss(config, CHANNELS, grid)(data.prediction, data.y, data)
        torch.testing.assert_close(got, plain(data.prediction, data.y, data) + 0.1 * errors)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_gradients_are_finite_where_all_is_zero(name, dtype):
    data = graphs((12, 12))
    loss = FieldLoss(LossConfig(name=name, derivative=0.1), CHANNELS, (3, 4))
    target = data.y.to(dtype)
    target[:12] = 0
    target[:, 2] = 0
    for start in (target, torch.zeros_like(target), target + 10):
        prediction = start.clone().requires_grad_()
        losses = loss(prediction, target, data)
        losses.mean().backward()
        assert bool(losses.isfinite().all())
        assert prediction.grad is not None
        assert bool(prediction.grad.isfinite().all())


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name):
    data = graphs()
    loss = FieldLoss(LossConfig(name=name, node_weights=True), CHANNELS)
    prediction = data.prediction.requires_grad_()
    assert torch.autograd.gradcheck(lambda p: loss(p, data.y, data), prediction)


def test_half_precision_gives_float32():
    data = graphs()
    for name in NAMES:
        loss = FieldLoss(LossConfig(name=name), CHANNELS)
        got = loss(data.prediction.bfloat16(), data.y.bfloat16(), data)
        assert got.dtype == torch.float32


def check_losses(rank, size):
    data = graphs((6, 9, 1))
    owner = torch.arange(data.num_nodes) % size
    owner[data.batch == 2] = size - 1  # the others have no nodes of the last graph
    mine = owner == rank
    part = Data(batch=data.batch[mine], weight=data.weight[mine])
    part.num_graphs = 3
    for name in NAMES:
        loss = FieldLoss(LossConfig(name=name, node_weights=True), CHANNELS)
        whole = data.prediction.detach().requires_grad_()
        own = whole.detach()[mine].requires_grad_()
        want = loss(whole, data.y, data)
        got = loss(own, data.y[mine], part, group=dist.group.WORLD)
        torch.testing.assert_close(got, want)
        want.mean().backward()
        got.mean().backward()
        # The mean over the processes of the gradients is that of the loss.
        torch.testing.assert_close(own.grad / size, whole.grad[mine])
    loss = FieldLoss(LossConfig(derivative=0.1), CHANNELS, (4, 4))
    with pytest.raises(ValueError, match="all .* spread over processes"):
        loss(own, data.y[mine], part, group=dist.group.WORLD)


def check_sums(rank, size):
    """Sums over a group, whose gradient is that of the sum over the processes."""
    values = graphs().y.requires_grad_()
    mine = torch.arange(len(values)) % size == rank
    own = values.detach()[mine].requires_grad_()
    upstream = graphs((size,), seed=1).prediction
    got, want = graph_sums(own, group=dist.group.WORLD), values.sum(0)[None]
    torch.testing.assert_close(got, want)
    (here,) = torch.autograd.grad((got * upstream[rank]).sum(), own, retain_graph=True)
    torch.testing.assert_close(here, upstream.sum(0).expand_as(here))
    # A gradient with strides of zero, as a sum leaves it.
    (here,) = torch.autograd.grad(got.sum(), own)
    torch.testing.assert_close(here, torch.full_like(here, size))


def check_all(rank, size):
    check_sums(rank, size)
    check_losses(rank, size)


@pytest.mark.slow
def test_nodes_spread_over_processes():
    run_processes(check_all, 2)


def test_bad_options():
    with pytest.raises(ValueError, match=r"unknown loss 'l3'; choose from \['l1', "):
        LossConfig(name="l3")  # pyright: ignore[reportArgumentType]
    for value in (-0.1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match=r"expected 'derivative' >= 0 \(got"):
            LossConfig(derivative=value)
    for grid in (None, (2, 9)):
        with pytest.raises(ValueError, match="'derivative' needs a data set on one structured gri"):
            FieldLoss(LossConfig(derivative=0.1), [1], grid)


def test_bad_data():
    data = graphs((12, 12))
    with pytest.raises(ValueError, match=r"graphs with all 16 nodes of the grid \(got 24 nodes of"):
        FieldLoss(LossConfig(derivative=0.1), CHANNELS, (4, 4))(data.prediction, data.y, data)
    del data.weight
    with pytest.raises(ValueError, match=r"'node_weights' needs data with 'weight' \[N\]; add it"):
        FieldLoss(LossConfig(node_weights=True), CHANNELS)(data.prediction, data.y, data)
    for name in ("relative_l2", "mse"):
        with pytest.raises(ValueError, match=r"of shape \[N, 4\] \(got \[24, 3\] and \[24, 3\]\)"):
            FieldLoss(LossConfig(name=name), [4])(data.prediction, data.y, data)
