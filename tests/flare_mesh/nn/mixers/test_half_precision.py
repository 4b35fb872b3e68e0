"""Mixing layers in half precision on many nodes: sums over the nodes are in single precision."""

import pytest
import torch

from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixer import MIXERS, build_mixer

NODES = 70_000  # more than float16 can count
OPTIONS = {"linformer": {"max_nodes": NODES, "num_latents": 8}, "ema": {"chunk_size": 32}}
QUADRATIC = {"softmax", "third_order"}


@pytest.mark.slow
@pytest.mark.parametrize("name", ["flare", *sorted(MIXERS.keys() - QUADRATIC)])
def test_half_precision_is_near_double(name):
    torch.manual_seed(0)
    layer = build_mixer(name, 8, OPTIONS.get(name), heads=2)
    with torch.no_grad():
        for parameter in layer.parameters():
            if parameter.dim() > 1:
                parameter *= 5  # so that attention is not uniform
    x, weight = torch.randn(NODES, 8) + 1.0, torch.rand(NODES) + 0.5
    with torch.no_grad():
        single = {}
        for dtype in (torch.bfloat16, torch.float16):
            with torch.autocast("cpu", dtype=dtype):
                single[dtype] = layer.mix(x, graphs_of(x, weight=weight)).double()
        x = x.double()
        exact = layer.double().mix(x, graphs_of(x, weight=weight.double()))
    # The linformer's keys are sums of all nodes with both signs: the softmax of them is sharp.
    limit = 0.05 if name == "linformer" else 0.01
    for dtype, factor in ((torch.bfloat16, 1.0), (torch.float16, 0.2)):
        error = float((single[dtype] - exact).norm() / exact.norm())
        assert error < factor * limit, dtype
