"""One mesh over several processes gives what one process computes: outputs and gradients."""

import pytest
import torch
from torch import distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.nn.parallel import DistributedDataParallel

from flare_mesh import FLAREAttention, FLAREOperator
from flare_mesh.testing import run_processes

SMALL = {"hidden_channels": 16, "num_layers": 2, "heads": 4, "num_latents": 6}

# Nodes of the graphs; "absent" lists the (process, graph) pairs without nodes, None for all graphs.
CASES = {
    "one graph": {"sizes": [23]},
    "one node": {"sizes": [1]},
    "ragged": {"sizes": [9, 14, 6], "absent": [(0, 1), (1, 2)]},
    "empty graph": {"sizes": [7, 0, 5]},
    "first process empty": {"sizes": [11, 8], "absent": [(0, None)]},
    "last process empty": {"sizes": [11, 8], "absent": [(-1, None)]},
    "last process empty, one graph": {"sizes": [12], "absent": [(-1, None)]},
    "weight": {"sizes": [9, 14, 6], "absent": [(1, 0)], "weight": True},
    "synthesized": {
        "sizes": [9, 6],
        "absent": [(0, 1)],
        "weight": True,
        "model": {"queries": "synthesized"},
    },
    "synthesized, last process empty": {
        "sizes": [9, 6],
        "absent": [(-1, None)],
        "model": {"queries": "synthesized"},
    },
    "encoded": {
        "sizes": [9, 6],
        "absent": [(-1, None)],
        "weight": True,
        "model": {"decode": "encoded"},
    },
    "latent blocks": {
        "sizes": [9, 6],
        "absent": [(-1, None)],
        "weight": True,
        "model": {"latent_blocks": 1, "gate_layers": 0, "shared_latents": True},
    },
    "passes": {
        "sizes": [9, 6],
        "absent": [(0, 1)],
        "model": {"passes": 2, "shared_attention": True, "shared_ffn": True, "latent_blocks": 1},
    },
    "normed": {"sizes": [9, 6], "absent": [(1, 1)], "model": {"qk_norm": True}},
    "checkpointing": {"sizes": [9, 6], "absent": [(0, None)], "model": {"checkpointing": True}},
    "reference": {"sizes": [9, 6], "absent": [(0, None)], "model": {"backend": "reference"}},
    "sdpa": {"sizes": [9, 6], "absent": [(0, 1)], "weight": True, "model": {"backend": "sdpa"}},
    "sdpa, first process empty": {
        "sizes": [9, 6],
        "absent": [(0, None)],
        "model": {"backend": "sdpa"},
    },
    "sdpa, last process empty, one graph": {
        "sizes": [9],
        "absent": [(-1, None)],
        "model": {"backend": "sdpa"},
    },
    "sdpa, synthesized, first process empty": {
        "sizes": [9, 6],
        "absent": [(0, None)],
        "model": {"backend": "sdpa", "queries": "synthesized"},
    },
    "sdpa, encoded, first process empty": {
        "sizes": [9, 6],
        "absent": [(0, None)],
        "model": {"backend": "sdpa", "decode": "encoded"},
    },
}


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def operator(**options):
    torch.manual_seed(0)
    model = FLAREOperator(2, 3, **{**SMALL, **options}).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def assert_exact(got, want):
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


def ptr_of(sizes):
    return torch.tensor([0, *sizes]).cumsum(0)


def shard(rank, world_size, sizes, absent=()):
    """Numbers of this process's nodes in the whole batch, and its offsets of the graphs."""
    mine, counts = [], []
    for graph, (start, size) in enumerate(zip(ptr_of(sizes).tolist(), sizes, strict=False)):
        away = {process % world_size for process, which in absent if which in (graph, None)}
        holders = [process for process in range(world_size) if process not in away]
        share = holders.index(rank) if rank in holders else None
        cut = [start + size * i // len(holders) for i in range(len(holders) + 1)]
        nodes = [] if share is None else list(range(cut[share], cut[share + 1]))
        mine += nodes
        counts.append(len(nodes))
    return torch.tensor(mine, dtype=torch.int64), ptr_of(counts)


def whole_batch(sizes, weight=False):
    n = sum(sizes)
    tensors = {"x": draw(n, 2, seed=1), "pos": draw(n, 3, seed=2)}
    if weight:
        tensors["weight"] = draw(n, seed=3).exp()
    return {name: tensor.requires_grad_() for name, tensor in tensors.items()}


def gradients(loss, model, tensors):
    model.zero_grad()
    loss.backward()
    for name, parameter in model.named_parameters():  # DDP waits for all of them
        assert parameter.grad is not None, f"no gradient of {name}"
    parameters = torch.cat([parameter.grad.flatten() for parameter in model.parameters()])
    return parameters, {name: tensor.grad for name, tensor in tensors.items()}


def check_case(rank, size, group, sizes, absent=(), weight=False, model=None):
    model = operator(**(model or {}))
    whole, ptr = whole_batch(sizes, weight), ptr_of(sizes)
    mine, own_ptr = shard(rank, size, sizes, absent)
    own = {name: t.detach()[mine].requires_grad_() for name, t in whole.items()}
    given = {"ptr": own_ptr, "group": group}
    if len(sizes) == 1:
        del given["ptr"]

    want, got = model(**whole, ptr=ptr), model(**own, **given)
    assert_exact(got, want[mine])
    if 0 < len(mine) < len(want):  # the other processes' nodes do matter
        assert bool(((model(**own, ptr=own_ptr) - got).abs() > 1e-4).any())

    upstream = draw(*want.shape, seed=4)
    of_model, of_nodes = gradients((upstream * want).sum(), model, whole)
    own_of_model, own_of_nodes = gradients((upstream[mine] * got).sum(), model, own)
    dist.all_reduce(own_of_model, group=group)
    assert_exact(own_of_model, of_model)
    for name, grad in own_of_nodes.items():
        assert_exact(grad, of_nodes[name][mine])
        assert sum(sizes) == 1 or bool((of_nodes[name].abs() > 1e-5).any()), name

    with torch.no_grad():
        assert_exact(model(**own, **given, chunk_size=3), want[mine])
        known = model.encode(**whole, ptr=ptr)
        for chunk_size in (None, 4):
            latents = model.encode(**own, **given, chunk_size=chunk_size)
            for one, other in zip(latents, known, strict=True):
                assert_exact(one.query, other.query)
                assert_exact(one.value, other.value)
        # All processes have the latents: each can decode anywhere without the others.
        probes = {"x": draw(len(sizes), 2, seed=5), "pos": draw(len(sizes), 3, seed=6)}
        probes["ptr"] = torch.arange(len(sizes) + 1)
        assert_exact(model.decode(latents, **probes), model.decode(known, **probes))
        own.pop("weight", None)
        assert_exact(model.decode(latents, **own, ptr=own_ptr), want[mine])


def check_batch_vector(rank, size, group):
    """Graphs by a batch vector, where the last is not on all processes."""
    sizes = [6, 5, 4]
    model, whole = operator(), whole_batch(sizes)
    mine, _ = shard(rank, size, sizes, [(0, 2)])
    batch = torch.arange(3).repeat_interleave(torch.tensor(sizes))
    own = {name: tensor.detach()[mine] for name, tensor in whole.items()}
    got = model(**own, batch=batch[mine], batch_size=3, group=group)
    assert_exact(got, model(**whole, batch=batch)[mine])


def check_dense_layer(rank, size, group):
    torch.manual_seed(0)
    layer = FLAREAttention(8, heads=2, num_latents=3).double()
    x, weight = draw(2, 11, 8), draw(2, 11, seed=1).exp()
    mine, _ = shard(rank, size, [11], [(0, None)])
    want = layer(x, weight=weight)
    assert_exact(layer(x[:, mine], weight=weight[:, mine], group=group), want[:, mine])


def check_group(rank, size):
    """All cases on the first processes."""
    group = dist.new_group(range(size))
    if rank >= size:
        return
    for name, case in CASES.items():
        try:
            check_case(rank, size, group, **case)
        except Exception as error:
            error.add_note(f"in the case {name!r}, process {rank} of {size}")
            raise
    check_batch_vector(rank, size, group)
    check_dense_layer(rank, size, group)


def check_data_parallel(mesh, **options):
    """Two batches at a time, each over two processes: the gradients of their mean loss."""
    group = mesh.get_group("shard")
    shards = dist.get_world_size(group)
    batches = [[8, 5], [3, 12, 1]]
    absent = [[(1, 1)], [(1, None)]]  # a process without a graph, and one without any node

    def nodes_of(batch):
        n = sum(batches[batch])
        x, pos, target = (draw(n, c, seed=3 * batch + c) for c in (2, 3, 3))
        return x, pos, target

    alone = operator(**options)
    losses = []
    for batch, sizes in enumerate(batches):
        x, pos, target = nodes_of(batch)
        losses.append((alone(x, pos, ptr=ptr_of(sizes)) - target).square().sum() / len(target))
    torch.stack(losses).mean().backward()

    batch = mesh.get_local_rank("data")
    mine, ptr = shard(dist.get_rank(group), shards, batches[batch], absent[batch])
    x, pos, target = (tensor[mine] for tensor in nodes_of(batch))
    parallel = DistributedDataParallel(operator(**options))
    out = parallel(x, pos, ptr=ptr, group=group)
    nodes = torch.tensor(len(mine))
    dist.all_reduce(nodes, group=group)  # of the whole batch
    # DDP divides the sum of the gradients by the number of all processes, data * shards. A batch's
    # gradient is the sum over its shards: what is their mean must be multiplied by their number.
    loss = shards * (out - target).square().sum() / nodes
    loss.backward()
    for got, want in zip(parallel.parameters(), alone.parameters(), strict=True):
        assert_exact(got.grad, want.grad)


def check_all(rank, world_size):
    check_group(rank, 2)
    check_group(rank, 3)
    mesh = init_device_mesh("cpu", (2, world_size // 2), mesh_dim_names=("data", "shard"))
    check_data_parallel(mesh)
    check_data_parallel(mesh, queries="synthesized")
    check_data_parallel(mesh, decode="encoded", backend="sdpa")
    check_data_parallel(mesh, passes=2, shared_attention=True, latent_blocks=1, gate_layers=0)


@pytest.mark.slow
def test_processes_that_share_meshes_give_what_one_gives():
    # Compiles the kernels once, before several processes would at the same time.
    for weight in (False, True):
        operator(num_layers=1)(**whole_batch([3, 2], weight), ptr=ptr_of([3, 2])).sum().backward()
    run_processes(check_all, 4)  # all in one go: starting processes takes longer than the checks
