import os

import pytest
import torch

if not torch.cuda.is_available():
    # Triton's interpreter; read when triton is imported.
    os.environ.setdefault("TRITON_INTERPRET", "1")

from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixers.triple import TripleAttention

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


def test_backends_agree():
    pytest.importorskip("triton")
    torch.manual_seed(0)
    layer = TripleAttention(3, 1).to(DEVICE)
    x = torch.randn(5, 3, device=DEVICE, requires_grad=True)
    ptr = torch.tensor([0, 3, 5], device=DEVICE)
    graphs = graphs_of(x, ptr=ptr, weight=torch.rand(5, device=DEVICE) + 0.5)
    results = []
    for backend in ("torch", "triton"):
        layer.backend = backend
        out = layer(x, graphs)
        leaves = [x, *layer.parameters()]
        results.append([out, *torch.autograd.grad(out.square().sum(), leaves)])
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-5)


def test_unknown_and_impossible_backends():
    with pytest.raises(ValueError, match=r"unknown backend 'sdpa'; choose from \['auto', 'torch'"):
        TripleAttention(4, 1, backend="sdpa")
    pytest.importorskip("triton")
    layer = TripleAttention(4, 1, backend="triton").double()
    with pytest.raises(ValueError, match="float16, bfloat16 and float32"):
        layer(torch.ones(2, 4, dtype=torch.float64), graphs_of(torch.ones(2, 4)))
