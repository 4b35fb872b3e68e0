"""Tests of every registered model, and of the backbone with every mixing layer."""

import inspect

import pytest
import torch
from torch_geometric.data import Batch

from flare_mesh import models
from flare_mesh.models import MODELS
from flare_mesh.nn.mixer import MIXERS, check_mixer, is_ordered
from flare_mesh.testing import (
    assert_graphs_independent,
    assert_permutation_equivariant,
    random_graph,
)

SMALL = {
    "hidden_channels": 16,
    "num_layers": 2,
    "heads": 2,
    "num_latents": 6,
    "num_slices": 6,
    "local_channels": 4,
    "num_supernodes": 6,
    "num_anchors": 6,
    "state_size": 4,
    "num_features": 8,
    "num_landmarks": 6,
    "max_nodes": 40,
}
GRAPHS = [random_graph(n, 2, seed=n, dtype=torch.float64, edges=True) for n in (30, 1, 34, 7, 8, 8)]
BATCH = Batch.from_data_list(GRAPHS)
EDGES = {"edge_index": BATCH.edge_index}  # for models with message passing
NO_EDGES = {"edge_index": BATCH.edge_index[:, :0]}
NODES = len(BATCH.pos)
TIGHT = {"rtol": 1e-9, "atol": 1e-9}

NAMES = [*MODELS, *(f"backbone:{mixer}" for mixer in MIXERS)]

pytestmark = pytest.mark.parametrize("name", NAMES)


def build(name, **options):
    """A model by name, or ``"backbone:mixer"``, whose options are those of both."""
    model, _, mixer = name.partition(":")
    if not mixer:
        return models.build(model, **options)
    own = {key: options.pop(key) for key in mixer_options(mixer) if key in options}
    return models.build(model, **{**options, "mixer": mixer, "mixer_options": own or None})


def model_options(name):
    model, _, mixer = name.partition(":")
    options = models.model_options(model)
    if mixer:
        options = {**options, "mixer": mixer, **mixer_options(mixer)}
    return options


def mixer_options(mixer):
    """Options of a mixing layer without those that the backbone gives it."""
    parameters = list(inspect.signature(check_mixer(mixer)).parameters.values())[1:]
    return {
        p.name: SMALL.get(p.name, 3) if p.default is p.empty else p.default
        for p in parameters
        if p.name != "heads"
    }


def small(name, **options):
    """A model in float64 whose every parameter matters."""
    known = model_options(name)
    sizes = {key: size for key, size in SMALL.items() if key in known}
    torch.manual_seed(0)
    model = build(name, in_channels=2, out_channels=3, **{**sizes, **options}).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.1 * torch.randn_like(parameter)
    return model


def takes_weights(model):
    """Whether weights change the result; a model for which they cannot must say so."""
    weight = torch.ones(NODES, dtype=torch.float64)
    try:
        model(BATCH, weight=weight)
    except ValueError:
        with pytest.raises(ValueError, match="weight"):
            model(BATCH, weight=weight)
        return False
    return True


def test_graphs_are_independent(name):
    model = small(name)
    assert_graphs_independent(model, GRAPHS, atol=1e-9)
    equal = [random_graph(9, 2, seed=n, dtype=torch.float64, edges=True) for n in range(3)]
    assert_graphs_independent(model, equal, atol=1e-9)


def test_nan_in_a_graph_stays_there(name):
    """Values and gradients of the others, also where graphs of unequal size are packed together."""
    model = small(name)
    bad = BATCH.batch == 2
    results = []
    for value in (0.0, torch.nan):
        x = torch.where(bad[:, None], value, BATCH.x).requires_grad_()
        out = model(x, BATCH.pos, BATCH.batch, **EDGES)[~bad]
        (grad,) = torch.autograd.grad(out.square().sum(), x)
        results.append([out, grad[~bad]])
    torch.testing.assert_close(*results, **TIGHT)


@pytest.mark.slow
def test_gradients_of_graphs_are_independent(name):
    model = small(name)

    def gradients(results):
        loss = sum(result.square().sum() for result in results)
        return torch.autograd.grad(loss, list(model.parameters()))

    together = gradients([model(BATCH)])
    alone = gradients([model(graph) for graph in GRAPHS])
    for a, b in zip(together, alone, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-7, atol=1e-9)


def test_node_order_does_not_matter(name):
    assert_permutation_equivariant(small(name), GRAPHS[0], atol=1e-9)


@pytest.mark.slow
def test_nodes_depend_on_all_nodes_of_their_graph_only(name):
    model = small(name)
    x = BATCH.x.clone().requires_grad_()
    first = int(BATCH.ptr[1])
    out = model(x, BATCH.pos, BATCH.batch, **EDGES)
    (grad,) = torch.autograd.grad(out[0].sum(), x)
    assert bool((grad[:first].abs().sum(-1) > 0).all())
    assert not bool(grad[first:].any())


@pytest.mark.slow
def test_graphs_without_nodes(name):
    model = small(name)
    ptr = torch.tensor([0, 0, 30, 31, 31, 65, 72, 80, 88, 88])
    out = model(BATCH.x, BATCH.pos, ptr=ptr, **EDGES)
    torch.testing.assert_close(out, model(BATCH), **TIGHT)
    none = model(BATCH.x[:0], BATCH.pos[:0], ptr=torch.tensor([0, 0]), **NO_EDGES)
    assert none.shape == (0, 3)
    none.sum().backward()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in model.parameters())
    for ptr in ([0], [0, 0, 0]):
        found = model(BATCH.x[:0], BATCH.pos[:0], ptr=torch.tensor(ptr), **NO_EDGES)
        assert found.shape == (0, 3)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_every_parameter_gets_a_gradient(name, training):
    model = small(name).train(training)
    model(BATCH).square().sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert bool(parameter.grad.isfinite().all()), key
        assert float(parameter.grad.abs().max()) > 0, key


def test_single_precision_agrees_with_double(name):
    model = small(name)
    double = model(BATCH)
    model.float()
    x, pos = BATCH.x.float(), BATCH.pos.float()
    single = model(x, pos, BATCH.batch, **EDGES)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), double, rtol=1e-3, atol=1e-4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(x, pos, BATCH.batch, **EDGES)
    assert float((half - double).detach().norm() / double.detach().norm()) < 0.1
    half.float().square().sum().backward()
    assert all(bool(p.grad.isfinite().all()) for p in model.parameters() if p.grad is not None)


def test_data_and_tensors_are_the_same_call(name):
    model = small(name)
    out = model(BATCH)
    torch.testing.assert_close(model(BATCH.x, BATCH.pos, BATCH.batch, **EDGES), out, **TIGHT)
    torch.testing.assert_close(model(BATCH.x, BATCH.pos, ptr=BATCH.ptr, **EDGES), out, **TIGHT)
    graph = GRAPHS[0]
    alone = model(graph.x, graph.pos, edge_index=graph.edge_index)
    torch.testing.assert_close(model(graph), alone, **TIGHT)


def test_without_features_and_in_the_plane(name):
    known = model_options(name)
    sizes = {key: size for key, size in SMALL.items() if key in known}
    model = build(name, in_channels=0, out_channels=1, pos_dim=2, **sizes)
    out = model(None, torch.rand(5, 2), edge_index=torch.tensor([[0, 2], [1, 0]]))
    assert out.shape == (5, 1)


def test_weights_matter_or_are_refused(name):
    model = small(name)
    if not takes_weights(model):
        return
    out = model(BATCH)
    ones = model(BATCH, weight=torch.ones(NODES, dtype=torch.float64))
    torch.testing.assert_close(ones, out, **TIGHT)
    torch.manual_seed(1)
    weight = torch.rand(NODES, dtype=torch.float64) + 0.5
    weighted = model(BATCH, weight=weight)
    assert float((weighted - out).detach()[: int(BATCH.ptr[1])].abs().max()) > 1e-5
    # Only the ratios within a graph matter.
    scaled = model(BATCH, weight=weight * (1.0 + BATCH.batch))
    torch.testing.assert_close(scaled, weighted, rtol=1e-6, atol=1e-7)
    given = BATCH.clone()
    given.weight = weight
    torch.testing.assert_close(model(given), weighted, **TIGHT)
    alone = model(GRAPHS[2], weight=weight[BATCH.ptr[2] : BATCH.ptr[3]])
    torch.testing.assert_close(alone, weighted[BATCH.ptr[2] : BATCH.ptr[3]], **TIGHT)


def test_a_weight_of_two_counts_as_two_nodes(name):
    model = small(name)
    if not takes_weights(model) or model.uses_edges:  # a sum over neighbours counts the edges
        return
    if is_ordered(name.partition(":")[2] or None):  # another node moves those after it
        return
    graph = GRAPHS[0]
    weight = torch.ones(30, dtype=torch.float64)
    weight[:5] = 2.0
    weighted = model(graph, weight=weight)
    twice = model(torch.cat([graph.x, graph.x[:5]]), torch.cat([graph.pos, graph.pos[:5]]))
    torch.testing.assert_close(weighted, twice[:30], rtol=1e-4, atol=1e-6)
    assert float((weighted - model(graph)).detach().abs().max()) > 1e-5


def test_save_and_load(name, tmp_path):
    model = small(name).float()
    x, pos = BATCH.x.float(), BATCH.pos.float()
    model.save(tmp_path)
    again = type(model).load(tmp_path).eval()
    assert again.config == model.config
    assert repr(again) == repr(model)
    assert torch.equal(again(x, pos, BATCH.batch, **EDGES), model(x, pos, BATCH.batch, **EDGES))


@pytest.mark.slow
def test_the_configuration_holds_every_option(name):
    options = models.model_options(name.partition(":")[0])
    with torch.device("meta"):
        model = build(name, in_channels=2, out_channels=3, **model_options(name))
        assert model.config.keys() == {"in_channels", "out_channels", *options}
        assert repr(type(model)(**model.config)) == repr(model)


@pytest.mark.slow
def test_parameters_are_drawn_again(name):
    model = small(name)
    before = model(BATCH)
    model.reset_parameters()
    after = model(BATCH)
    assert bool(after.isfinite().all())
    assert not torch.allclose(before, after)
    torch.manual_seed(3)
    model.reset_parameters()
    drawn = model(BATCH)
    torch.manual_seed(3)
    model.reset_parameters()
    torch.testing.assert_close(model(BATCH), drawn, **TIGHT)


@pytest.mark.slow
def test_checkpointing_changes_nothing(name):
    if "checkpointing" not in model_options(name):
        return
    results = []
    for checkpointing in (False, True):
        model = small(name, checkpointing=checkpointing).train()
        torch.manual_seed(5)
        out = model(BATCH)
        grads = torch.autograd.grad(out.square().sum(), list(model.parameters()))
        results.append([out, *grads])
    torch.testing.assert_close(*results, **TIGHT)


def test_input_of_another_shape_is_refused(name):
    model = small(name)
    x, pos = BATCH.x, BATCH.pos
    for arguments, match in (
        ((x[:, :1], pos), "'x' of shape"),
        ((None, pos), "'x' of shape"),
        ((x, None), "'pos' of shape"),
        ((x, pos[:, :2]), "'pos' of shape"),
        ((x[:-1], pos), "'x' of shape"),
        ((x, pos.float()), "'pos' of the dtype"),
        ((x, pos, BATCH.batch.flip(0)), "'batch' to be sorted"),
        ((x, pos, BATCH.batch[1:]), "'batch' to be integers"),
    ):
        with pytest.raises(ValueError, match=match):
            model(*arguments)
    with pytest.raises(ValueError, match="'ptr'"):
        model(x, pos, ptr=torch.tensor([0, 5]))
    with pytest.raises(ValueError, match="'weight'"):
        model(x, pos, BATCH.batch, weight=torch.ones(3, dtype=torch.float64))


def test_a_permuted_batch_is_refused_and_a_sorted_one_is_computed_right(name):
    """``ptr`` of a batch whose nodes were permuted or removed is out of date."""
    model = small(name)
    expected = model(BATCH)
    mixed = BATCH.clone()
    order = torch.randperm(NODES, generator=torch.Generator().manual_seed(0))
    mixed.x, mixed.pos, mixed.batch = BATCH.x[order], BATCH.pos[order], BATCH.batch[order]
    mixed.edge_index = order.argsort()[BATCH.edge_index]
    with pytest.raises(ValueError, match="'batch' to be sorted"):
        model(mixed)
    within = order[BATCH.batch[order].argsort(stable=True)]  # each graph's nodes in another order
    mixed.x, mixed.pos, mixed.batch = BATCH.x[within], BATCH.pos[within], BATCH.batch[within]
    mixed.edge_index = within.argsort()[BATCH.edge_index]
    torch.testing.assert_close(model(mixed), expected[within], **TIGHT)
    kept = torch.arange(3, NODES)  # the first graph lost its first three nodes
    part = BATCH.subgraph(kept)
    alone = GRAPHS[0].subgraph(torch.arange(3, 30))
    torch.testing.assert_close(model(part)[:27], model(alone), **TIGHT)
    torch.testing.assert_close(model(part)[27:], expected[30:], **TIGHT)


def test_offsets_that_contradict_the_batch_vector_are_refused(name):
    model = small(name)
    arguments = (BATCH.x, BATCH.pos, BATCH.batch)
    torch.testing.assert_close(model(*arguments, ptr=BATCH.ptr, **EDGES), model(BATCH), **TIGHT)
    for wrong in ([0, 29, 31, 65, 72, 80, 88], [0, 30, 31, 65, 72, 88]):
        with pytest.raises(ValueError, match="'ptr' to be the offsets|graph numbers from 0 to 4"):
            model(*arguments, ptr=torch.tensor(wrong), **EDGES)


def test_impossible_sizes_are_refused(name):
    sizes = {"in_channels": -1, "out_channels": 0, "hidden_channels": 0, "num_layers": -1,
             "pos_dim": 0, "heads": 7, "num_latents": 0, "num_slices": 0, "num_experts": 0,
             "mlp_layers": -1}  # fmt: skip
    known = {"in_channels": 2, "out_channels": 3, **model_options(name)}
    for option in sizes.keys() & known.keys():
        with pytest.raises(ValueError, match="expected '"):
            build(name, **{**known, "num_layers": 1, option: sizes[option]})
