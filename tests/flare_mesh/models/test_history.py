"""An operator with a history: steps at once, one by one, and in parts are the same."""

from contextlib import nullcontext

import pytest
import torch
from safetensors.torch import load, save
from torch._dynamo.testing import CompileCounter
from torch.utils.flop_counter import FlopCounterMode
from torch_geometric.data import Batch

from flare_mesh import FLAREOperator
from flare_mesh.models import HistoryState, Transolver
from flare_mesh.testing import random_graph

SIZES = (5, 9, 1, 7, 6, 8, 12)
GRAPHS = [random_graph(n, 2, seed=n, dtype=torch.float64, edges=True) for n in SIZES]
for graph in GRAPHS:
    graph.weight = torch.linspace(0.5, 2.0, len(graph.pos), dtype=torch.float64)
BATCH = Batch.from_data_list(GRAPHS)
LENGTHS = (4, 2, 0, 1)  # the meshes of a series differ in nodes and coordinates
SERIES = torch.tensor([0, *LENGTHS]).cumsum(0)
OPTIONS = [
    {"history": "equal"},
    {"history": "fading", "queries": "synthesized", "gate_layers": 0},
    {"history": "fading", "decode": "encoded", "latent_blocks": 1, "passes": 2},
    {"history": "equal", "encoder": "graph", "shared_attention": True, "checkpointing": True},
]


def operator(**options):
    torch.manual_seed(0)
    sizes = {"hidden_channels": 16, "num_layers": 2, "heads": 2, "num_latents": 6}
    model = FLAREOperator(2, 3, **{**sizes, **options}).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def one_by_one(model, graphs, state=None):
    outs = []
    for graph in graphs:
        out, state = model(graph, state=state, return_state=True)
        outs.append(out)
    return outs, state


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_steps_at_once_and_one_by_one(options):
    """Values, states and gradients, through the state, of series of several lengths in a batch."""
    model = operator(**options)
    together, last = model(BATCH, series=SERIES, return_state=True)
    outs, first = [], 0
    for number, length in enumerate(LENGTHS):
        own, state = one_by_one(model, GRAPHS[first : first + length])
        outs += own
        first += length
        if state is not None:
            for got, want in zip(last, state, strict=True):
                torch.testing.assert_close(got[:, number], want[:, 0])
    torch.testing.assert_close(together, torch.cat(outs))
    parameters = list(model.parameters())
    grads = [
        torch.autograd.grad(out.square().sum(), parameters) for out in (together, torch.cat(outs))
    ]
    for got, want in zip(*grads, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-8, atol=1e-8)


def test_first_steps_are_those_of_a_model_without_history():
    model, plain = operator(history="equal"), operator()
    assert [*model.state_dict()] == [*plain.state_dict()]
    expected = plain(BATCH)
    assert torch.equal(model(BATCH), expected)
    got, _ = model(BATCH, return_state=True)
    torch.testing.assert_close(got, expected, rtol=1e-12, atol=1e-12)
    later = model(BATCH, series=SERIES)
    assert float((later - expected)[5:14].detach().abs().min()) > 1e-6


def test_parts_of_a_series_continue_from_the_stored_state():
    model, graphs = operator(history="fading"), GRAPHS[:5]
    whole, last = model(Batch.from_data_list(graphs), series=5, return_state=True)
    head, state = model(Batch.from_data_list(graphs[:3]), series=3, return_state=True)
    stored = load(save({k: v.contiguous() for k, v in state.detach()._asdict().items()}))
    tail, state = one_by_one(model, graphs[3:], HistoryState(**stored))
    torch.testing.assert_close(torch.cat([head, *tail]), whole)
    torch.testing.assert_close(tuple(state), tuple(last))


@pytest.mark.parametrize("options", OPTIONS[:3], ids=str)
def test_chunks_change_nothing(options):
    model = operator(**options)
    expected = model(BATCH, series=SERIES, return_state=True)
    with torch.no_grad():
        got = model(BATCH, series=SERIES.tolist(), return_state=True, chunk_size=7)
    torch.testing.assert_close(got[0], expected[0], rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(tuple(got[1]), tuple(expected[1]), rtol=1e-11, atol=1e-12)


def test_the_state_is_in_float32_also_in_half_precision():
    model = operator(history="fading").float()
    graph = random_graph(9, 2, seed=0)
    with torch.autocast("cpu", torch.bfloat16):
        _, state = one_by_one(model, [graph] * 3)
    assert {t.dtype for t in state} == {torch.float32}
    halved = model.bfloat16()
    out, state = one_by_one(halved, [graph.apply(lambda t: t.bfloat16(), "x", "pos")] * 2)
    assert {t.dtype for t in state} == {torch.float32}
    assert out[0].dtype == torch.bfloat16


@pytest.mark.parametrize("nodes", [3, 40])
def test_a_later_step_costs_and_keeps_as_much_as_a_first_one(nodes):
    model = operator(history="fading", backend="sdpa", num_layers=1).eval()
    graph, state, costs = random_graph(nodes, 2, seed=1, dtype=torch.float64), None, []
    with torch.no_grad():
        for number in range(7):
            with FlopCounterMode(display=False) if number % 3 == 0 else nullcontext() as counter:
                _, state = model(graph, state=state, return_state=True)
            if counter is not None:
                sizes = [t.untyped_storage().nbytes() for t in state]
                costs.append((counter.get_total_flops(), *sizes))
    assert costs[0][0] > 0
    assert costs[1:] == costs[:1] * 2


def test_series_that_cannot_be():
    model, plain = operator(history="fading"), operator()
    _, state = model(BATCH, return_state=True)
    for arguments, message in (
        ({"series": 2}, "a number of steps that divides the 7 graphs"),
        ({"series": 7.0}, r"offsets as an int64 tensor or a list \(got 7.0 of type float\)"),
        ({"series": True}, "a number of steps, or offsets .* of type bool"),
        ({"series": [0, 7.0]}, r"a list of integers \(got \[0, 7.0\]\)"),
        ({"series": [0, 3]}, r"to rise from 0 to the number of graphs, 7 \(got \[0, 3\]\)"),
        ({"series": []}, r"int64 of shape \[B \+ 1\]"),
        ({"state": tuple(state)}, "HistoryState that return_state=True returns .*tuple"),
        ({"state": state, "series": 7}, r"'state.logsumexp' torch.float64 of shape \[2, 1, 2, 6\]"),
        ({"state": HistoryState(*(t.float() for t in state))}, "got torch.float32"),
        ({"return_state": True, "group": object()}, "in one process"),
    ):
        with pytest.raises(ValueError, match=message):
            model(BATCH, **arguments)
    with pytest.raises(ValueError, match="expected a model with history for series of steps"):
        plain(BATCH, series=7)
    with pytest.raises(ValueError, match="history is for FLARE's mixer"):
        operator(history="equal", mixer="linear")
    with pytest.raises(ValueError, match="expected blocks with history"):
        operator(history="equal", num_layers=0)
    with pytest.raises(ValueError, match="unknown history 'all'"):
        operator(history="all")
    assert model.has_history
    assert not model.can_spread
    assert not plain.has_history
    assert not Transolver(2, 3, hidden_channels=8, num_layers=1).has_history


@pytest.mark.slow
def test_one_compiled_graph_for_meshes_of_all_sizes():
    torch._dynamo.reset()
    model, counter = operator(history="fading", num_layers=1), CompileCounter()
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend=counter)
    _, state = model(GRAPHS[0], return_state=True)
    for n in (7, 30):
        graph = random_graph(n, 2, seed=n, dtype=torch.float64)
        given = {"state": state.detach(), "return_state": True}
        got, want = (one(graph.x, graph.pos, **given) for one in (compiled, model))
        torch.testing.assert_close(got[0], want[0])
        torch.testing.assert_close(tuple(got[1]), tuple(want[1]))
        got[0].sum().backward()
    assert counter.frame_count == 1
    steps = {"series": 3, "ptr": torch.tensor([0, 2, 4, 30])}
    torch.testing.assert_close(
        compiled(graph.x, graph.pos, **steps), model(graph.x, graph.pos, **steps)
    )
