"""On a GPU every read of a tensor's values by the host waits for all work that was launched."""

from collections import defaultdict

import pytest
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch_geometric.data import Batch

from flare_mesh.models import MODELS, build, model_options
from flare_mesh.ops import (
    CausalState,
    backends,
    causal_linear_attention,
    flare_causal_attention,
)
from flare_mesh.ops.layout import Layout
from flare_mesh.testing import random_graph

aten = torch.ops.aten
SMALL = {"hidden_channels": 16, "heads": 2, "num_latents": 6, "num_slices": 6, "state_size": 4,
         "local_channels": 4, "backend": "sdpa"}  # fmt: skip
# Alone, similar, equal and empty: graphs of every kind of group.
SIZES = (30, 1, 34, 0, 7, 8, 8)
BATCH = Batch.from_data_list([random_graph(n, 2, seed=n, edges=True) for n in SIZES])


def _selects_by_mask(args):
    return any(index is not None and index.dtype == torch.bool for index in args[1])


class _Operators(TorchDispatchMode):
    """Operators whose result or its shape depends on values that a GPU would have to send."""

    def __init__(self, reads):
        super().__init__()
        self.reads = reads

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        op = func.overloadpacket
        if (
            op in (aten._local_scalar_dense, aten.nonzero, aten.masked_select, aten.equal)
            or "unique" in str(op)
            or (op is aten.index and _selects_by_mask(args))
            or (op is aten.repeat_interleave and kwargs.get("output_size") is None)
        ):
            self.reads.append(str(op))
        return func(*args, **kwargs)


class HostReads(TorchFunctionMode):
    """List of the reads that would wait for a GPU; reads of a CPU tensor count as such."""

    def __init__(self):
        super().__init__()
        self.reads = []
        self.operators = _Operators(self.reads)

    def __enter__(self):
        self.operators.__enter__()
        return super().__enter__()

    def __exit__(self, *error):
        super().__exit__(*error)
        self.operators.__exit__(*error)

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.cpu):
            self.reads.append(func.__name__)
        return func(*args, **(kwargs or {}))


def small(name, **options):
    known = model_options(name)
    sizes = {key: size for key, size in SMALL.items() if key in known}
    return build(name, in_channels=2, out_channels=3, **sizes, **options)


@pytest.mark.parametrize(
    "read",
    [
        lambda t: t.tolist(),
        lambda t: t.numpy(),
        lambda t: t.cpu(),
        lambda t: int(t[1]),
        lambda t: bool((t > 1).any()),
        lambda t: list(range(t[1])),
        lambda t: t[t > 1],
        lambda t: t.nonzero(),
        lambda t: t.unique(),
        lambda t: t.repeat_interleave(t),
    ],
)
def test_every_way_to_read_is_seen(read):
    with HostReads() as host:
        read(torch.tensor([1, 2]))
    assert len(host.reads) >= 1
    with HostReads() as host:
        t = torch.tensor([1, 2])
        t[t - 1].repeat_interleave(t, output_size=3).masked_fill(t[:1] > 0, 0).cumsum(0)
    assert host.reads == []


@pytest.mark.slow
@pytest.mark.parametrize("name", list(MODELS))
def test_offsets_are_read_once_in_a_forward_pass(name):
    model = small(name, num_layers=3)
    x, pos, ptr, batch = BATCH.x, BATCH.pos, BATCH.ptr, BATCH.batch
    weight = torch.rand(len(pos)) + 0.5
    backends.choose("auto", x)  # the compiled loops are tested once, and the results read
    for reads, arguments, options in (
        (1, (BATCH,), {}),
        (1, (x, pos), {"ptr": ptr}),
        (1, (x, pos, batch), {"batch_size": len(SIZES)}),
        (2, (x, pos, batch), {}),  # the number of graphs before their offsets
        (2, (x, pos), {"ptr": ptr, "weight": weight}),  # and whether all weights are positive
        (0, (x, pos), {}),
    ):
        with HostReads() as host:
            model(*arguments, edge_index=BATCH.edge_index, **options)
        reads += model.uses_edges  # whether the edges are within the graphs
        assert len(host.reads) <= reads, (host.reads, options.keys())


def test_encoder_with_edges_reads_once_more():
    model = small("flare", num_layers=3, encoder="graph")
    edge_index = torch.tensor([[0, 1, 31], [1, 2, 32]])
    with HostReads() as host:
        model(BATCH.x, BATCH.pos, ptr=BATCH.ptr, edge_index=edge_index)
    assert len(host.reads) <= 2, host.reads


@pytest.mark.parametrize(
    "options", [{}, {"queries": "synthesized"}, {"decode": "encoded"}], ids=str
)
def test_chunks_of_nodes_are_found_without_further_reads(options):
    model = small("flare", num_layers=3, **options)
    with torch.no_grad(), HostReads() as host:
        model(BATCH.x, BATCH.pos, ptr=BATCH.ptr, chunk_size=20)
    assert len(host.reads) <= 1, host.reads


@pytest.mark.parametrize("name", list(MODELS))
def test_nothing_is_read_in_a_backward_pass(name):
    model = small(name, num_layers=2)
    loss = model(BATCH).square().sum()
    with HostReads() as host:
        loss.backward()
    assert host.reads == []
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("backend", ["reference", "triton", "torch"])
def test_causal_functions_read_offsets_only_for_their_checks(backend, monkeypatch):
    key, value = torch.randn(len(BATCH.pos), 2, 4), torch.randn(len(BATCH.pos), 2, 4)
    key.requires_grad_()
    query = torch.randn(2, 6, 4)
    if backend == "torch":
        with HostReads() as host:
            causal_linear_attention(key, key, value, BATCH.ptr, backend=backend).sum().backward()
        assert len(host.reads) <= 1, host.reads
        return
    if backend == "reference":
        with HostReads() as host:
            out = flare_causal_attention(query, key, value, ptr=BATCH.ptr, backend=backend)
            out.sum().backward()
        assert len(host.reads) <= 1, host.reads
        return
    # Launches without kernels, called without the operators, which hide what is in them.
    pytest.importorskip("triton")
    from flare_mesh.ops import triton_causal, triton_causal_flare

    nothing = defaultdict(lambda: lambda *_, **__: None)
    for module in (triton_causal.device, triton_causal_flare.device, triton_causal_flare.gradient):
        for name in vars(module):
            if name.endswith("_kernel"):
                monkeypatch.setattr(module, name, nothing)
    monkeypatch.setattr(triton_causal_flare, "sum_kernel", nothing)
    given = (query[None], key.detach(), value, None, None, None, BATCH.ptr)
    with HostReads() as host:
        state = CausalState.empty(query, value, len(SIZES))
        out, _, _, *stored = triton_causal_flare.causal(*given, *state, 1.0, True)
        triton_causal_flare.causal_backward(out, *given, out, *stored, 1.0)
        triton_causal.sums(key.detach(), key.detach(), value, BATCH.ptr, False)
    assert host.reads == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_triton_backend_never_waits_for_the_gpu():
    def draw(*shape):
        return torch.randn(*shape, device="cuda", requires_grad=True)

    query, key, value = draw(len(SIZES), 4, 6, 8), draw(sum(SIZES), 4, 8), draw(sum(SIZES), 4, 8)
    layout = Layout(BATCH.ptr.cuda())

    def step():
        latent, _ = backends.encode(query, key, value, layout, backend="triton")
        backends.decode(query, key, latent, layout, backend="triton").sum().backward()

    step()  # compiles the kernels
    torch.cuda.set_sync_debug_mode("error")
    try:
        step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
