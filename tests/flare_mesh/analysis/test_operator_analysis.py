import copy

import pytest
import torch
from torch_geometric.data import Batch

from flare_mesh import FLAREOperator
from flare_mesh.analysis import effective_rank, operator_maps, operator_spectra
from flare_mesh.nn.graphs import graphs_of
from flare_mesh.testing import random_graph

L, H, M, C = 3, 2, 4, 8
SIZES = (9, 3)


def operator(**options):
    torch.manual_seed(0)
    sizes = {"hidden_channels": C, "num_layers": L, "heads": H, "num_latents": M}
    model = FLAREOperator(2, 1, **{**sizes, **options}).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return model


def weighted_batch():
    graphs = [random_graph(n, 2, seed=n, dtype=torch.float64) for n in SIZES]
    for graph in graphs:
        graph.weight = graph.pos.norm(dim=-1)
    return Batch.from_data_list(graphs)


class Constant(torch.nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return self.value


@torch.no_grad()
def probed_matrices(model, data):
    """Mixing matrices [L, H, N, N] of a whole batch, from what each block does to unit values."""
    inputs = []
    hooks = [
        block.norm1.register_forward_hook(lambda _, __, out: inputs.append(out))
        for block in model.blocks
    ]
    model(data)
    for hook in hooks:
        hook.remove()
    graphs = graphs_of(data.pos, ptr=data.ptr, weight=data.weight)
    matrices = []
    for block, n in zip(model.blocks, inputs, strict=True):
        probe, columns = copy.deepcopy(block.attention), []
        probe.out = torch.nn.Identity()
        for unit in torch.eye(len(n), dtype=n.dtype):
            probe.value = Constant(unit[:, None].expand(-1, C))
            columns.append(probe.mix(n, graphs).unflatten(-1, (H, -1))[..., 0])  # [N, H]
        matrices.append(torch.stack(columns, -1).transpose(0, 1))
    return torch.stack(matrices)


VARIANTS = [
    {},
    {"qk_norm": True, "norm": "rms"},
    {"queries": "synthesized"},
    {"scale": None, "backend": "reference"},
]


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_spectra_and_maps_are_those_of_what_the_blocks_do(options):
    model, data = operator(**options), weighted_batch()
    spectra = operator_spectra(model, data)
    assert spectra.shape == (L, len(SIZES), H, M)
    matrices = probed_matrices(model, data)
    for graph in range(len(SIZES)):
        nodes = slice(data.ptr[graph], data.ptr[graph + 1])
        own = matrices[:, :, nodes, nodes]
        want = torch.linalg.eigvals(own).real.sort(descending=True).values
        want = torch.nn.functional.pad(want, (0, M))[..., :M]
        torch.testing.assert_close(spectra[:, graph], want, rtol=0, atol=1e-10)
        for block in range(L):
            encode, decode = operator_maps(model, data, block=block)[graph]
            torch.testing.assert_close(decode @ encode, own[block])
    ranks = effective_rank(spectra)
    assert bool(((ranks >= 1) & (ranks < M)).all())


def test_blocks_are_counted_from_the_end_too():
    model, data = operator(), weighted_batch()
    for last, third in zip(
        operator_maps(model, data, block=-1), operator_maps(model, data, block=L - 1), strict=True
    ):
        torch.testing.assert_close(last, third, rtol=0, atol=0)


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_a_graph_does_not_depend_on_its_batch(options):
    model, data = operator(**options), weighted_batch()
    alone = [operator_spectra(model, graph) for graph in data.to_data_list()]
    torch.testing.assert_close(operator_spectra(model, data), torch.cat(alone, 1))
    maps = [operator_maps(model, graph, block=1)[0] for graph in data.to_data_list()]
    for together, single in zip(operator_maps(model, data, block=1), maps, strict=True):
        torch.testing.assert_close(together, single)


def test_data_and_tensors_are_the_same_call():
    model, data = operator(encoder="graph"), weighted_batch()
    data.edge_index = torch.tensor([[0, 1, 2, 9, 10], [1, 2, 0, 10, 11]])
    given = {"weight": data.weight, "edge_index": data.edge_index}
    want = operator_spectra(model, data)
    for graphs in ({"batch": data.batch}, {"ptr": data.ptr}):
        got = operator_spectra(model, data.x, data.pos, **graphs, **given)
        torch.testing.assert_close(got, want, rtol=0, atol=0)
    got = operator_spectra(model, data.x, data.pos, data.batch, batch_size=3, **given)
    torch.testing.assert_close(got[:, :2], want)
    assert bool((got[:, 2] == 0).all())
    maps = operator_maps(model, data.x, data.pos, data.batch, block=0, batch_size=3, **given)
    torch.testing.assert_close(maps[0], operator_maps(model, data, block=0)[0])
    assert maps[2].encode.shape == (H, M, 0)


def test_the_model_is_left_alone():
    model, data = operator(checkpointing=True).train(), weighted_batch()
    before = copy.deepcopy(model.state_dict())
    assert not operator_spectra(model, data).requires_grad
    assert not operator_maps(model, data, block=0)[0].encode.requires_grad
    assert model.training
    torch.testing.assert_close(dict(model.state_dict()), dict(before), rtol=0, atol=0)
    assert operator_spectra(operator(num_layers=0), data).shape == (0, len(SIZES), H, M)


def test_blocks_of_each_pass():
    data, model, looped = weighted_batch(), operator(num_layers=4), operator(num_layers=2, passes=2)
    for i, block in enumerate(model.blocks):
        block.load_state_dict(looped.blocks[i % 2].state_dict())
    model.encoder.load_state_dict(looped.encoder.state_dict())
    torch.testing.assert_close(operator_spectra(looped, data), operator_spectra(model, data))
    maps = operator_maps(looped, data, block=3)
    torch.testing.assert_close(maps, operator_maps(model, data, block=3))


def test_half_precision():
    model, data = operator().float(), weighted_batch()
    data.pos, data.x, data.weight = data.pos.float(), data.x.float(), data.weight.float()
    want = operator_spectra(model, data)
    with torch.autocast("cpu", torch.bfloat16):
        got = operator_spectra(model, data)
    assert got.dtype == torch.float64
    torch.testing.assert_close(got, want, rtol=0, atol=0.1)


@pytest.mark.parametrize(
    "function", [operator_spectra, lambda *a, **k: operator_maps(*a, block=0, **k)]
)
def test_bad_input(function):
    data = weighted_batch()
    with pytest.raises(ValueError, match="with decode='shared' .got 'encoded'"):
        function(operator(decode="encoded"), data)
    with pytest.raises(ValueError, match=r"without latent_blocks \(got 2\)"):
        function(operator(latent_blocks=2), data)
    with pytest.raises(ValueError, match="expected a FLAREOperator .got Linear"):
        function(torch.nn.Linear(2, 2), data)
    with pytest.raises(ValueError, match=r"'pos' of shape \[N, 3\]"):
        function(operator(), data.x, data.pos[:, :2])
    with pytest.raises(ValueError, match="'weight' to be positive and finite"):
        function(operator(), data.x, data.pos, weight=-data.weight)
    data.x[0, 0] = torch.nan
    with pytest.raises(ValueError, match="'keys of block 0' to be finite"):
        function(operator(), data)


@pytest.mark.parametrize("block", [L, -L - 1])
def test_no_such_block(block):
    with pytest.raises(ValueError, match=rf"'block' among 3 blocks \(got {block}\)"):
        operator_maps(operator(), weighted_batch(), block=block)
