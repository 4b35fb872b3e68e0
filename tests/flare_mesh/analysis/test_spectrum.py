import pytest
import torch

from flare_mesh import flare_attention
from flare_mesh.analysis import attention_maps, effective_rank, mixing_spectrum, spectrum

H, M, D = 3, 5, 4


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ptr_of(sizes):
    return torch.tensor([0, *sizes]).cumsum(0)


def plain_eigenvalues(query, key, weight, scale):
    """Of the explicit N x N matrix of each head; query [H, M, D], key [N, H, D], weight [N]."""
    scores = (scale * torch.einsum("nhd,hmd->hnm", key, query)).exp()
    decode = scores / scores.sum(2, keepdim=True)
    encode = weight[:, None] * scores
    encode = encode / encode.sum(1, keepdim=True)
    values = torch.linalg.eigvals(decode @ encode.mT)
    assert float(values.imag.abs().max()) < 1e-12
    ordered = values.real.sort(descending=True).values
    return torch.nn.functional.pad(ordered, (0, max(0, M - len(key))))[:, :M]


@pytest.mark.parametrize("piece", [2**22, 4 * H * M])  # all nodes at once, four at a time
@pytest.mark.parametrize("weighted", [False, True])
def test_eigenvalues_are_those_of_the_explicit_matrix(weighted, piece, monkeypatch):
    monkeypatch.setattr(spectrum, "_CHUNK", piece)
    sizes = [11, 3, 0, 1, 8]
    query, key = draw(len(sizes), H, M, D), draw(sum(sizes), H, D, seed=1)
    weight = draw(sum(sizes), seed=2).exp() if weighted else None
    got = mixing_spectrum(query, key, ptr=ptr_of(sizes), weight=weight, scale=0.8)
    assert got.shape == (len(sizes), H, M)
    assert got.dtype == torch.float64
    shares = torch.ones(sum(sizes)).double() if weight is None else weight
    parts = zip(query, key.split(sizes), shares.split(sizes), strict=True)
    for values, (q, k, w) in zip(got, parts, strict=True):
        want = plain_eigenvalues(q, k, w, 0.8) if len(k) else torch.zeros(H, M).double()
        torch.testing.assert_close(values, want, rtol=0, atol=1e-12)


def test_the_largest_is_one_and_a_small_graph_has_few():
    values = mixing_spectrum(draw(H, M, D), draw(5, H, D, seed=1), ptr=ptr_of([3, 2]))
    torch.testing.assert_close(values[..., 0], torch.ones(2, H).double())
    assert bool((values.diff(dim=-1) <= 0).all())
    assert bool((values[0, :, 3:] < 1e-14).all())
    assert bool((values[1, :, 2:] < 1e-14).all())
    assert bool((values[1, :, 1] > 1e-6).all())


def test_dense_and_flat_layouts_agree():
    query, key, weight = draw(2, H, M, D), draw(2, H, 7, D, seed=1), draw(2, 7, seed=2).exp()
    flat = key.transpose(1, 2).flatten(0, 1)
    options = {"ptr": ptr_of([7, 7]), "weight": weight.flatten()}
    torch.testing.assert_close(
        mixing_spectrum(query, key, weight=weight), mixing_spectrum(query, flat, **options)
    )
    for dense, ragged in zip(
        attention_maps(query, key, weight=weight),
        attention_maps(query, flat, **options),
        strict=True,
    ):
        torch.testing.assert_close(dense, ragged)


def test_only_ratios_of_weights_matter():
    query, key, weight = draw(H, M, D), draw(9, H, D, seed=1), draw(9, seed=2).exp()
    given = [mixing_spectrum(query, key, ptr=ptr_of([9]), weight=w) for w in (weight, 1e6 * weight)]
    torch.testing.assert_close(*given)
    equal = mixing_spectrum(query, key, ptr=ptr_of([9]), weight=torch.full((9,), 3.0))
    torch.testing.assert_close(equal, mixing_spectrum(query, key, ptr=ptr_of([9])), atol=1e-6,
                               rtol=0)  # fmt: skip
    assert float((given[0] - equal).abs().max()) > 1e-3


def test_a_node_of_weight_two_is_two_nodes():
    query, key = draw(H, M, D), draw(6, H, D, seed=1)
    twice = mixing_spectrum(query, torch.cat([key, key[:1]]), ptr=ptr_of([7]))
    weight = torch.tensor([2.0, 1, 1, 1, 1, 1]).double()
    torch.testing.assert_close(mixing_spectrum(query, key, ptr=ptr_of([6]), weight=weight), twice)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_large_scores_stay_finite(dtype):
    query, key = 100 * draw(H, M, D).to(dtype), 100 * draw(40, H, D, seed=1).to(dtype)
    values = mixing_spectrum(query, key, ptr=ptr_of([40]))
    torch.testing.assert_close(values[..., 0], torch.ones(1, H).double())
    assert bool(((values >= 0) & (values <= 1)).all())
    for part in attention_maps(query, key, ptr=ptr_of([40]))[0]:
        assert part.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
        torch.testing.assert_close(part.sum(-1), torch.ones_like(part[..., 0]))


def test_known_spectra():
    # Latents with equal scores at all nodes: one average of all nodes.
    same = mixing_spectrum(torch.zeros(1, M, D), torch.randn(20, 1, D), ptr=ptr_of([20]))
    torch.testing.assert_close(same[0, 0], torch.eye(M).double()[0], rtol=0, atol=1e-14)
    torch.testing.assert_close(effective_rank(same), torch.ones(1, 1).double())
    # One latent for each node: the identity.
    each = mixing_spectrum(100 * torch.eye(D)[None], torch.eye(D)[:, None], ptr=ptr_of([D]))
    torch.testing.assert_close(each, torch.ones(1, 1, D).double())
    torch.testing.assert_close(effective_rank(each), torch.full((1, 1), float(D)).double())


def test_effective_rank():
    values = torch.tensor([[4.0, 4, 4, 4], [1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0], [3, 1, 0, 0]])
    two = 4 / 3**0.75  # exp of the entropy of (3/4, 1/4)
    torch.testing.assert_close(effective_rank(values), torch.tensor([4.0, 1, 2, 0, two]))
    assert effective_rank(values[0]).shape == ()


def test_maps_make_the_mixer():
    sizes = [6, 0, 1, 9]
    query, key, value = draw(4, H, M, D), draw(16, H, D, seed=1), draw(16, H, D, seed=2)
    weight = draw(16, seed=3).exp()
    options = {"ptr": ptr_of(sizes), "weight": weight, "scale": 0.3}
    want = flare_attention(query, key, value, **options)
    maps = attention_maps(query, key, **options)
    for (encode, decode), v, y in zip(maps, value.split(sizes), want.split(sizes), strict=True):
        assert encode.shape == (H, M, len(v))
        assert decode.shape == (H, len(v), M)
        if len(v):
            torch.testing.assert_close(encode.sum(-1), torch.ones(H, M).double())
        torch.testing.assert_close(decode.sum(-1), torch.ones(H, len(v)).double())
        mixed = decode @ (encode @ v.transpose(0, 1))
        torch.testing.assert_close(mixed.transpose(0, 1), y)


@pytest.mark.parametrize("function", [mixing_spectrum, attention_maps])
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"key": torch.zeros(6, D)}, r"'key' with 'ptr' \[N, H, D\] \(got \[6, 4\]\)"),
        ({"ptr": None}, r"'key' without 'ptr' \[B, H, N, D\]"),
        ({"ptr": ptr_of([5])}, "'ptr' to rise from 0 to N = 6"),
        ({"query": torch.zeros(2, M, D)}, r"'query' of shape \[3, M, 4\] or \[1, 3, M, 4\]"),
        ({"query": torch.zeros(H, M, D).double()}, "'query' of the dtype and device of 'key'"),
        ({"weight": torch.zeros(6)}, "'weight' to be positive and finite"),
        ({"weight": torch.ones(5)}, r"'weight' of shape \[6\] \(got \[5\]\)"),
        ({"key": torch.full((6, H, D), torch.nan)}, "'key' to be finite"),
    ],
)
def test_bad_input(function, changes, message):
    given = {"query": torch.zeros(H, M, D), "key": torch.zeros(6, H, D), "ptr": ptr_of([6])}
    with pytest.raises(ValueError, match=message):
        function(**{**given, **changes})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.tensor(1.0), r"of shape \[..., M\], M >= 1 \(got \[\]\)"),
        (torch.zeros(3, 0), r"M >= 1 \(got \[3, 0\]\)"),
        (torch.tensor([1.0, -1.0]), r"not to be negative \(got -1.0\)"),
        (torch.tensor([1.0, torch.nan]), "'eigenvalues' to be finite"),
    ],
)
def test_bad_spectra(values, message):
    with pytest.raises(ValueError, match=message):
        effective_rank(values)
