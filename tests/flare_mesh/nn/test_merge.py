import pytest
import torch
from torch import distributed as dist

from flare_mesh import flare_encode
from flare_mesh.nn.merge import merge_over_group
from flare_mesh.testing import run_processes

B, H, M, D = 3, 2, 5, 4


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def assert_exact(got, want):
    torch.testing.assert_close(got, want, rtol=1e-10, atol=1e-10)


def merged(latents, logsumexps):
    """The definition: a softmax over the parts, and zeros where there are none."""
    none = (logsumexps == -torch.inf).all(0)
    share = logsumexps.masked_fill(none, 0.0).softmax(0) * ~none
    return (share.unsqueeze(-1) * latents).sum(0)


def parts_of(size, case):
    """Latents [R, B, H, M, D] and log-sum-exps [R, B, H, M] of all processes."""
    latents, lse = draw(size, B, H, M, D), draw(size, B, H, M, seed=1)
    if case in ("high", "low"):
        lse += 1e4 if case == "high" else -1e4
    elif case == "both":
        lse[0] += 1e4
        lse[1:] -= 1e4
    elif case == "empty":
        lse[-1] = -torch.inf  # a process without nodes
        lse[0, 1] = -torch.inf  # a part without nodes
        lse[:, 2] = -torch.inf  # a graph without nodes
    elif case == "all empty":
        lse[:] = -torch.inf
    return latents.masked_fill((lse == -torch.inf).unsqueeze(-1), 0.0), lse


def check_definition(rank, size, group, case):
    whole = [part.requires_grad_() for part in parts_of(size, case)]
    own = [part[rank].detach().requires_grad_() for part in whole]
    upstream = draw(size, B, H, M, D, seed=2)
    want, got = merged(*whole), merge_over_group(*own, group)
    assert_exact(got, want)
    if case == "all empty":
        assert bool((got == 0).all())
    everywhere = torch.autograd.grad((upstream * want).sum(), whole)
    here = torch.autograd.grad((upstream[rank] * got).sum(), own)
    for own_grad, grad in zip(here, everywhere, strict=True):
        assert bool(own_grad.isfinite().all())
        assert_exact(own_grad, grad[rank])
    # Gradients with strides of zero, as sums leave them, are reduced like others.
    want = torch.autograd.grad(merged(*whole).sum() * size, whole)
    got = torch.autograd.grad(merge_over_group(*own, group).sum(), own)
    for own_grad, grad in zip(got, want, strict=True):
        assert_exact(own_grad, grad[rank])


def check_encodings(rank, size, group):
    """Graphs that were encoded in parts, some without nodes, are those encoded at once."""
    sizes = torch.tensor([[4, 0, 0], [2, 5, 0], [0, 0, 0]])[:size]  # [process, graph]
    owner = [torch.arange(size).repeat_interleave(sizes[:, graph]) for graph in range(3)]
    mine = (torch.cat(owner) == rank).nonzero().flatten()
    nodes = int(sizes.sum())
    whole = [draw(H, M, D), draw(nodes, H, D, seed=1), draw(nodes, H, D, seed=2)]
    whole = [t.requires_grad_() for t in (*whole, draw(nodes, seed=3).exp())]
    own = [(t.detach()[mine] if i else t.detach().clone()) for i, t in enumerate(whole)]
    own = [t.requires_grad_() for t in own]
    encodings = []
    for (*tensors, weight), counts in ((whole, sizes.sum(0)), (own, sizes[rank])):
        ptr = torch.cat([counts.new_zeros(1), counts.cumsum(0)])
        encodings.append(flare_encode(*tensors, ptr=ptr, weight=weight, backend="reference"))
    (want, _), part = encodings
    got = merge_over_group(*part, group)
    assert_exact(got, want)
    upstream = draw(size, 3, H, M, D, seed=4)
    everywhere = torch.autograd.grad((upstream * want).sum(), whole)
    query_grad, *node_grads = torch.autograd.grad((upstream[rank] * got).sum(), own)
    dist.all_reduce(query_grad, group=group)
    assert_exact(query_grad, everywhere[0])
    for grad, whole_grad in zip(node_grads, everywhere[1:], strict=True):
        assert_exact(grad, whole_grad[mine])


def check_float32(rank, size, group):
    latents, lse = parts_of(size, "empty")
    got = merge_over_group(latents[rank].float(), lse[rank].float(), group)
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, merged(latents, lse).float())


def check_all(rank, world_size):
    for size in range(1, world_size + 1):
        group = dist.new_group(range(size))
        if rank >= size:
            continue
        for case in ("plain", "high", "low", "both", "empty", "all empty"):
            try:
                check_definition(rank, size, group, case)
            except Exception as error:
                error.add_note(f"in the case {case!r}, process {rank} of {size}")
                raise
        check_encodings(rank, size, group)
        check_float32(rank, size, group)


def fail_in_one(rank, world_size):
    if rank == 1:
        raise RuntimeError("this is the error")
    dist.barrier()


@pytest.mark.slow
def test_merge_over_groups_of_one_to_three():
    run_processes(check_all, 3)


@pytest.mark.slow
def test_failures_of_processes_are_raised():
    with pytest.raises(torch.multiprocessing.ProcessRaisedException, match="this is the error"):
        run_processes(fail_in_one, 2)


def test_processes_need_a_function_of_a_file():
    with pytest.raises(ValueError, match=r"a function at the top level of a file \(got .*lambda>"):
        run_processes(lambda rank, world_size: None, 2)
