"""Higher-order mixing layers against sums written out in float64."""

import pytest
import torch

from flare_mesh.models import build
from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.mixer import MIXERS
from flare_mesh.nn.mixers import quad

C, H, N = 12, 3, 9
EINSUMS = {
    "multilinear": lambda q, k, v, w: torch.einsum(
        "nhd,hde->nhe",
        q[0],
        mean("nhd,nhe,n->hde", k[0], v[0], w) * mean("nhd,nhe,n->hde", k[1], v[1], w),
    ),
    "triple": lambda q, k, v, w: torch.einsum(
        "hijk,nhi,nhk->nhj", mean("nhi,nhj,nhk,n->hijk", k[0], v[0], k[1], w), *q
    ),
    "quad": lambda q, k, v, w: torch.einsum(
        "hijkl,nhi,nhk,nhl->nhj",
        mean("nhi,nhj,nhk,nhl,n->hijkl", k[0], v[0], k[1], k[2], w),
        *q,
    ),
}


def mean(equation, *tensors):
    return torch.einsum(equation, *tensors) / tensors[-1].sum()


def strassen(q, k, v, w, gates):
    s1, s2 = (mean("nhd,nhe,n->hde", *pair, w) for pair in zip(k, v, strict=True))
    v1, v2 = (mean("nhe,n->he", value, w) for value in v)
    g = gates[:, :, None]
    read = [torch.einsum("nhd,hde->nhe", q[0], s) for s in (s1, s2, s1 * s2)]
    return g[0] * read[0] * v2 + g[1] * (s1 * s2).sum(1) + g[2] * read[1] * v1 + g[3] * read[2]


def layer(name, **options):
    torch.manual_seed(0)
    made = MIXERS[name](C, H, **options).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return made


@pytest.mark.parametrize(
    ("feature_map", "normalize"),
    [("identity", False), ("elu+1", True), ("hadamard", False), ("hedgehog", False)],
)
@pytest.mark.parametrize("name", ["multilinear", "triple", "quad", "strassen"])
def test_written_out(name, feature_map, normalize, monkeypatch):
    monkeypatch.setattr(quad, "_PRODUCTS", 200 if normalize else 2**24)  # three pieces, or one
    made = layer(name, feature_map=feature_map, normalize=normalize)
    x = torch.randn(N, C, dtype=torch.float64)
    weight = torch.rand(N, dtype=torch.float64) + 0.5
    parts = [p(x).unflatten(-1, (H, -1)) for p in made.projections]
    nq, nk, nv = made.counts
    parts[: nq + nk] = map(made.features, parts[: nq + nk])
    if normalize:
        parts[: nq + nk] = [t / t.norm(dim=-1, keepdim=True) for t in parts[: nq + nk]]
    q, k, v = parts[:nq], parts[nq : nq + nk], parts[nq + nk :]
    assert len(v) == nv
    if name == "strassen":
        heads = strassen(q, k, v, weight, made.gates)
    else:
        heads = EINSUMS[name](q, k, v, weight)
    expected = made.out(made.norm(heads.flatten(-2)))
    found = made(x, graphs_of(x, weight=weight))
    torch.testing.assert_close(found, expected)
    parameters = list(made.parameters())
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), parameters, retain_graph=True),
        torch.autograd.grad(expected.square().sum(), parameters),
    )


def test_one_state_is_unnormalised_linear_attention():
    made = layer("multilinear", states=1)
    x = torch.randn(N, C, dtype=torch.float64)
    q, k, v = (p(x).unflatten(-1, (H, -1)) for p in made.projections)
    heads = torch.einsum("ihd,jhd,jhe->ihe", q, k, v) / N
    torch.testing.assert_close(made(x, graphs_of(x)), made.out(made.norm(heads.flatten(-2))))


# In vpuri3/FLARE.py, with C = 64, 8 blocks, 8 heads, two inputs and one output.
SIZES = [
    ("linear_no", {}, 426_241),
    ("multilinear", {"states": 1}, 426_241),
    ("multilinear", {}, 492_801),
    ("multilinear", {"states": 3}, 559_361),
    ("triple", {}, 492_801),
    ("triple", {"proj_layers": 3}, 1_158_401),
    ("triple", {"feature_map": "hadamard"}, 493_953),
    ("triple", {"feature_map": "swiglu"}, 494_529),
    ("quad", {}, 559_361),
    ("strassen", {}, 493_057),
    ("third_order", {}, 491_777),
]


@pytest.mark.parametrize(("mixer", "options", "size"), SIZES)
def test_sizes_of_the_comparison(mixer, options, size):
    channels = {"in_channels": 0, "out_channels": 1, "pos_dim": 2}
    model = build("backbone", **channels, mixer=mixer, mixer_options=options)
    assert sum(p.numel() for p in model.parameters()) == size


def test_gates_start_open():
    assert bool((MIXERS["strassen"](C, H).gates == 0.5).all())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("multilinear", {"states": 0}, "'states' >= 1"),
        ("triple", {"heads": 5}, "divisible by 'heads'"),
        ("linear_no", {"slices": 0}, "'slices' >= 1"),
        ("third_order", {"scores": "x"}, "unknown scores 'x'; choose from"),
    ],
)
def test_bad_options(name, options, message):
    with pytest.raises(ValueError, match=message):
        MIXERS[name](C, **{"heads": H, **options})
