"""Pairs of our mixing layers and public code for the same, for ``mixers_against_public.py``."""

import importlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from flare_mesh import flare_encode
from flare_mesh.nn.mixer import build_mixer

H, FEATURES, LATENTS = 8, 256, 64
PAIRS: dict[str, Callable[[int, int], "Pair"]] = {}
"""Functions of the numbers of nodes and channels; "~" marks public code of another function."""


class Pair(NamedTuple):
    """Our layer on nodes [N, C] with offsets, public code on [B, N, C], and tolerance of results.

    Without a tolerance they compute different functions.
    """

    ours: Callable[..., Tensor]
    public: Callable[[Tensor], Tensor]
    tolerance: float | None = None


def pair(title: str) -> Callable[[Callable[[int, int], Pair]], Callable[[int, int], Pair]]:
    def add(build: Callable[[int, int], Pair]) -> Callable[[int, int], Pair]:
        PAIRS[title] = build
        return build

    return add


def public(module: str) -> Any:
    return importlib.import_module(module)


def authors() -> Any:
    return public("flare_authors.backends")


def layer(mixer: str, channels: int, heads: int = H, **options: Any) -> Any:
    torch.manual_seed(0)
    return build_mixer(mixer, channels, options or None, heads=heads)


def copy(to: Iterable[Tensor], source: Iterable[Tensor]) -> None:
    with torch.no_grad():
        for a, b in zip(to, source, strict=True):
            a.copy_(b.reshape(a.shape))


def copy_linears(to: Iterable[nn.Linear], source: Iterable[list[nn.Linear]]) -> None:
    """Each of our Linear layers from public ones after another; a missing bias is 0."""
    with torch.no_grad():
        for a, parts in zip(to, source, strict=True):
            a.weight.copy_(torch.cat(tuple(part.weight for part in parts)))
            biases = tuple(part.bias for part in parts if part.bias is not None)
            a.bias.copy_(torch.cat(biases) if biases else torch.zeros_like(a.bias))


def heads_last(linear: nn.Linear, parts: int) -> list[Tensor]:
    """Weight and bias with the parts, as q, k, v, first; they are within each head there."""
    return [t.unflatten(0, (H, parts, -1)).transpose(0, 1) for t in linear.parameters()]


@pair("performer")
def performer(nodes: int, channels: int) -> Pair:
    code = public("performer_pytorch.performer_pytorch")
    code.softmax_kernel = partial(code.softmax_kernel, eps=0.0)  # ours adds nothing to features
    ours = layer("performer", channels, num_features=FEATURES)
    theirs = code.SelfAttention(channels, heads=H, dim_head=channels // H, nb_features=FEATURES)
    copy_linears(
        [ours.layer.project, ours.layer.out],
        [[theirs.to_q, theirs.to_k, theirs.to_v], [theirs.to_out]],
    )
    copy([ours.layer.directions], [theirs.fast_attention.projection_matrix.expand(H, -1, -1)])
    return Pair(ours, theirs, 1e-3)


@pair("performer ~ vpuri3/FLARE.py")
def performer_of_authors(nodes: int, channels: int) -> Pair:
    theirs = authors().PerformerAttention(channels, H, nb_features=FEATURES)
    return Pair(layer("performer", channels, num_features=FEATURES), theirs)


@pair("linformer")
def linformer(nodes: int, channels: int) -> Pair:
    ours = layer("linformer", channels, max_nodes=nodes, num_latents=FEATURES)
    theirs = public("linformer").LinformerSelfAttention(channels, nodes, k=FEATURES, heads=H)
    copy_linears(
        [ours.layer.project, ours.layer.out],
        [[theirs.to_q, theirs.to_k, theirs.to_v], [theirs.to_out]],
    )
    copy([ours.layer.key_rows, ours.layer.value_rows], [theirs.proj_k, theirs.proj_v])
    return Pair(ours, theirs, 1e-4)


@pair("linformer vpuri3/FLARE.py")
def linformer_of_authors(nodes: int, channels: int) -> Pair:
    ours = layer("linformer", channels, max_nodes=nodes, num_latents=FEATURES)
    theirs = authors().LinformerAttention(channels, H, nodes, k=FEATURES)
    copy(ours.layer.project.parameters(), heads_last(theirs.qkv_proj, 3))
    copy(ours.layer.out.parameters(), theirs.out_proj.parameters())
    copy([ours.layer.key_rows, ours.layer.value_rows], [theirs.E_k, theirs.E_v])
    return Pair(ours, theirs, 1e-4)


@pair("nystromformer")
def nystromformer(nodes: int, channels: int) -> Pair:
    ours = layer("nystromformer", channels, num_landmarks=LATENTS)
    theirs = public("nystrom_attention").NystromAttention(
        channels, channels // H, H, num_landmarks=LATENTS, residual=False
    )
    copy_linears([ours.layer.project, ours.layer.out], [[theirs.to_qkv], [theirs.to_out[0]]])
    # Its iteration starts from the largest sum of all heads; other numbers of nodes are padded.
    return Pair(ours, theirs, None if nodes % LATENTS else 1e-2)


@pair("perceiver cross-attention")
def cross_attention(nodes: int, channels: int) -> Pair:
    """The nodes read by learned queries, as in the model perceiver_io."""
    theirs = public("perceiver_pytorch.perceiver_pytorch").Attention(
        channels, channels, heads=H, dim_head=channels // H
    )
    latents = nn.Parameter(torch.randn(LATENTS, channels))

    def ours(x: Tensor, ptr: Tensor) -> Tensor:
        split = [t.unflatten(-1, (H, -1)) for t in theirs.to_kv(x).chunk(2, dim=-1)]
        query = theirs.to_q(latents).unflatten(-1, (H, -1)).transpose(0, 1)
        read, _ = flare_encode(query, *split, ptr=ptr, scale=theirs.scale)
        return theirs.to_out(read.transpose(1, 2).flatten(-2))

    return Pair(ours, lambda x: theirs(latents.expand(len(x), -1, -1), x), 1e-4)


@pair("physics")
def physics(nodes: int, channels: int) -> Pair:
    ours = layer("physics", channels, num_slices=LATENTS)
    theirs = public("Physics_Attention").Physics_Attention_Irregular_Mesh(
        channels, H, channels // H, slice_num=LATENTS
    )
    mine = ours.layer
    own = [mine.project, mine.project_value, mine.slices, mine.query, mine.key, mine.value]
    names = ["in_project_x", "in_project_fx", "in_project_slice", "to_q", "to_k", "to_v"]
    for linear, name in zip(own, names, strict=True):
        copy(linear.parameters(), getattr(theirs, name).parameters())
    copy(mine.out.parameters(), theirs.to_out[0].parameters())
    return Pair(ours, theirs, 1e-4)


@pair("flare_shared")
def flare_shared(nodes: int, channels: int) -> Pair:
    ours = layer("flare_shared", channels, num_latents=LATENTS)
    theirs = public("physicsnemo.nn.module.flare_attention").FLARE(
        channels, H, channels // H, n_global_queries=LATENTS, use_te=False
    )
    mine = ours.layer
    own = [mine.project, mine.key, mine.value, mine.out]
    others = [theirs.in_project_x, theirs.self_k, theirs.self_v, theirs.out_linear]
    for linear, other in zip(own, others, strict=True):
        copy_linears([linear], [[other]])
    copy([mine.latent_query], [theirs.q_global])
    return Pair(ours, theirs, 1e-4)


@pair("flare")
def flare(nodes: int, channels: int) -> Pair:
    ours = layer("flare", channels, num_latents=LATENTS)
    theirs = authors().FLARE(channels, H, LATENTS, kv_proj_hidden_dim=channels)
    copy([ours.latent_query], [theirs.latent_q])
    for own, other in ((ours.key, theirs.k_proj), (ours.value, theirs.v_proj)):
        linears = [other.fc1, *other.fcs, other.fc2]
        copy(own.parameters(), [t for linear in linears for t in linear.parameters()])
    copy(ours.out.parameters(), theirs.out_proj.parameters())
    return Pair(ours, theirs, 1e-4)


@pair("softmax")
def softmax(nodes: int, channels: int) -> Pair:
    ours, theirs = layer("softmax", channels), authors().MultiHeadedSelfAttention(channels, H)
    copy_linears([ours.layer.project, ours.layer.out], [[theirs.qkv_proj], [theirs.out_proj]])
    return Pair(ours, theirs, 1e-4)


@pair("linear")
def linear(nodes: int, channels: int) -> Pair:
    ours, theirs = layer("linear", channels), authors().LinearAttention(channels, H, kernel="elu")
    copy(ours.layer.project.parameters(), heads_last(theirs.qkv_proj, 3))
    copy(ours.layer.out.parameters(), theirs.out_proj.parameters())
    return Pair(ours, theirs, 1e-3)


@pair("linear_no")
def linear_no(nodes: int, channels: int) -> Pair:
    ours, theirs = layer("linear_no", channels), authors().LinearNO(channels, H)
    mine = ours.layer
    own = [mine.query, mine.key, mine.value, mine.out]
    others = [theirs.q_proj, theirs.k_proj, theirs.v_proj, theirs.out_proj]
    copy_linears(own, [[other] for other in others])
    return Pair(ours, theirs, 1e-3)


def state_pair(mixer: str, theirs: Any, names: list[str], channels: int) -> Pair:
    """Layers of states, with projections of these names."""
    ours = layer(mixer, channels)
    for own, name in zip(ours.layer.projections, names, strict=True):
        copy(own.parameters(), theirs.get_submodule(name).parameters())
    copy(ours.layer.out.parameters(), theirs.out_proj.parameters())
    return Pair(ours, theirs, 1e-3)


@pair("multilinear")
def multilinear(nodes: int, channels: int) -> Pair:
    names = ["q_proj", "k_projs.0", "k_projs.1", "v_projs.0", "v_projs.1"]
    return state_pair("multilinear", authors().MultilinearAttention(channels, H), names, channels)


@pair("triple")
def triple(nodes: int, channels: int) -> Pair:
    names = [f"{name}_proj" for name in ("q1", "q2", "k1", "k2", "v")]
    return state_pair("triple", authors().TripleAttention(channels, H), names, channels)


@pair("quad")
def quad(nodes: int, channels: int) -> Pair:
    names = [f"{name}_proj" for name in ("q1", "q2", "q3", "k1", "k2", "k3", "v")]
    return state_pair("quad", authors().QuadAttention(channels, H), names, channels)


@pair("strassen")
def strassen(nodes: int, channels: int) -> Pair:
    theirs = authors().StrassenAttention(channels, H)
    for gate in (theirs.g1, theirs.g2, theirs.g3, theirs.g4):
        nn.init.constant_(gate, 0.5)
    names = [f"{name}_proj" for name in ("q", "k1", "k2", "v1", "v2")]
    return state_pair("strassen", theirs, names, channels)


def third_order_pair(scores: str, method: str, order: list[int], channels: int) -> Pair:
    ours = layer("third_order", channels, scores=scores)
    theirs = authors().ThirdOrderAttention(channels, H, third_order_method=method)
    parts = heads_last(theirs.att_proj, 5)
    copy(ours.layer.project.parameters(), [part[order] for part in parts])
    copy(ours.layer.out.parameters(), theirs.out_proj.parameters())
    return Pair(ours, theirs, 1e-3)


@pair("third_order")
def third_order(nodes: int, channels: int) -> Pair:
    return third_order_pair("simplicial", "third_order", [0, 1, 2, 3, 4], channels)


@pair("third_order strassen")
def third_order_strassen(nodes: int, channels: int) -> Pair:
    return third_order_pair("strassen", "strassen", [0, 1, 2, 3, 4], channels)


@pair("ema")
def ema(nodes: int, channels: int) -> Pair:
    """The authors' averages are wrong beyond about 200 nodes, where results are not compared."""
    ours, theirs = layer("ema", channels, heads=1), authors().EMAAttention(channels)
    mine = ours.layer
    averages = [theirs.ema.alpha_logits, theirs.ema.delta_logits, theirs.ema.beta_logits]
    copy(mine.average.parameters(), [*averages, theirs.ema.eta])
    inner = [theirs.q_proj[0], theirs.k_proj[0], theirs.gate_proj1[0], theirs.gate_proj2[0]]
    copy_linears(
        [mine.merge, mine.project, mine.value], [[theirs.ema.proj], inner, [theirs.v_proj[0]]]
    )
    copy([mine.hidden.weight, mine.hidden.bias], [theirs.Wh.T, theirs.bh])
    copy([mine.read.weight], [theirs.Uh.T])
    return Pair(ours, theirs, 1e-3 if nodes <= 200 else None)


@pair("ema ~ Mega-pytorch")
def mega(nodes: int, channels: int) -> Pair:
    theirs = public("mega_pytorch.mega_pytorch").MegaLayer(
        dim=channels, ema_heads=4, attn_dim_qk=channels, attn_dim_value=channels, causal=False
    )
    return Pair(layer("ema", channels, heads=1), theirs)
