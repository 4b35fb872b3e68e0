"""The authors' model, written out from its equations on a state dict in their names."""

import re

import pytest
import torch
from torch.nn.functional import gelu, layer_norm, rms_norm

from flare_mesh import FLAREOperator

C, H, M = 12, 3, 5


def mlp_weights(prefix, sizes, hidden):
    if hidden == -1:
        return {f"{prefix}.fc.weight": sizes[1::-1], f"{prefix}.fc.bias": sizes[1:2]}
    inside = C if len(sizes) == 2 else sizes[2]
    shapes = {"fc1": (inside, sizes[0]), "fc2": (sizes[1], inside)}
    shapes |= {f"fcs.{j}": (inside, inside) for j in range(hidden)}
    named = {f"{prefix}.{name}.weight": shape for name, shape in shapes.items()}
    return named | {f"{prefix}.{name}.bias": shape[:1] for name, shape in shapes.items()}


def state_dict(
    blocks=2, inputs=5, outputs=2, kv=3, values=None, ffn=3, ffn_width=C, qk_norm=False, rms=False
):
    shapes = mlp_weights("in_proj", (inputs, C), 2) | mlp_weights("out_proj.1", (C, outputs), 2)
    norms = {"out_proj.0": C}
    for i in range(blocks):
        shapes[f"blocks.{i}.att.latent_q"] = (C, M)
        shapes |= mlp_weights(f"blocks.{i}.att.k_proj", (C, C), kv)
        shapes |= mlp_weights(f"blocks.{i}.att.v_proj", (C, C), kv if values is None else values)
        shapes |= mlp_weights(f"blocks.{i}.mlp", (C, C, ffn_width), ffn)
        shapes |= {f"blocks.{i}.att.out_proj.weight": (C, C), f"blocks.{i}.att.out_proj.bias": (C,)}
        norms |= {f"blocks.{i}.norm1": C, f"blocks.{i}.norm2": C}
        if qk_norm:
            norms |= {f"blocks.{i}.att.q_norm": C // H, f"blocks.{i}.att.k_norm": C // H}
    for name, width in norms.items():
        shapes[f"{name}.weight"] = (width,)
        if not rms:
            shapes[f"{name}.bias"] = (width,)
    generator = torch.Generator().manual_seed(0)
    return {k: 0.4 * torch.randn(*v, generator=generator).double() for k, v in shapes.items()}


def linear(w, name, x):
    return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]


def mlp(w, name, x, input_residual, output_residual):
    if f"{name}.fc.weight" in w:
        return x + linear(w, f"{name}.fc", x)
    h = gelu(linear(w, f"{name}.fc1", x), approximate="tanh")
    if input_residual and h.shape == x.shape:
        h = x + h
    j = 0
    while f"{name}.fcs.{j}.weight" in w:
        h = h + gelu(linear(w, f"{name}.fcs.{j}", h), approximate="tanh")
        j += 1
    y = linear(w, f"{name}.fc2", h)
    return h + y if output_residual and y.shape == h.shape else y


def norm(w, name, x):
    if f"{name}.bias" in w:
        return layer_norm(x, x.shape[-1:], w[f"{name}.weight"], w[f"{name}.bias"])
    return rms_norm(x, x.shape[-1:], w[f"{name}.weight"])


def latent_block(w, name, z):
    """Pre-norm self-attention and MLP with exact GELU among the latents [M, C]."""
    q, k, v = linear(w, f"{name}.att.qkv_proj", norm(w, f"{name}.norm1", z)).chunk(3, dim=-1)
    heads = [
        torch.softmax(q[:, h] @ k[:, h].T / (C // H) ** 0.5, -1) @ v[:, h]
        for h in (slice(start, start + C // H) for start in range(0, C, C // H))
    ]
    z = z + linear(w, f"{name}.att.out_proj", torch.cat(heads, -1))
    hidden = gelu(linear(w, f"{name}.mlp.fc1", norm(w, f"{name}.norm2", z)))
    return z + linear(w, f"{name}.mlp.fc2", hidden)


def authors(w, x, scale, passes=1):
    h = mlp(w, "in_proj", x, False, True)
    for _ in range(passes):
        h = blocks_of(w, h, scale)
    return mlp(w, "out_proj.1", norm(w, "out_proj.0", h), True, False)


def blocks_of(w, h, scale):
    i = 0
    while f"blocks.{i}.norm1.weight" in w:
        b = f"blocks.{i}"
        n = norm(w, f"{b}.norm1", h)
        query = w[f"{b}.att.latent_q"].reshape(H, M, C // H)
        key, value = (
            mlp(w, f"{b}.att.{p}_proj", n, True, True).view(-1, H, C // H).transpose(0, 1)
            for p in "kv"
        )
        if f"{b}.att.q_norm.weight" in w:
            query, key = norm(w, f"{b}.att.q_norm", query), norm(w, f"{b}.att.k_norm", key)
        scores = scale * query @ key.mT
        latents = scores.softmax(-1) @ value
        if f"{b}.att.latent_blocks.0.norm1.weight" in w:
            z = latent_block(w, f"{b}.att.latent_blocks.0", torch.cat([*latents], dim=-1))
            latents = torch.stack(z.chunk(H, dim=-1))
        mixed = (scores.mT.softmax(-1) @ latents).transpose(0, 1).flatten(1)
        if f"{b}.att.g_proj.fc1.weight" in w:
            mixed = mixed * mlp(w, f"{b}.att.g_proj", n, True, True).sigmoid()
        h = h + linear(w, f"{b}.att.out_proj", mixed)
        h = h + mlp(w, f"{b}.mlp", norm(w, f"{b}.norm2", h), True, True)
        i += 1
    return h


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kv": 0, "ffn": 1, "blocks": 1, "outputs": 1},
        {"kv": -1, "ffn": -1},
        {"kv": 1, "values": -1},  # of their FLAREExperimentalModel
        {"qk_norm": True, "inputs": 3},
        {"rms": True, "qk_norm": True, "ffn_width": 24},
    ],
    ids=str,
)
def test_outputs_are_the_authors(options):
    weights = state_dict(**options)
    model = FLAREOperator.from_reference_state_dict(weights, heads=H, pos_dim=3, scale=0.7)
    nodes = torch.randn(40, options.get("inputs", 5), generator=torch.Generator().manual_seed(1))
    x = nodes[:, 3:].double() if nodes.shape[1] > 3 else None
    got = model.double()(x, nodes[:, :3].double())
    want = authors(weights, nodes.double(), 0.7)
    # The model has float32 weights.
    assert float((got - want).detach().norm() / want.detach().norm()) < 1e-5
    assert torch.equal(got, FLAREOperator.from_reference_state_dict(
        {f"module.{name}": w for name, w in weights.items()}, heads=H, pos_dim=3, scale=0.7
    ).double()(x, nodes[:, :3].double()))  # fmt: skip


def renamed(weights, *pairs):
    for old, new in pairs:
        weights = {name.replace(old, new, 1): w for name, w in weights.items()}
    return weights


def in_names_of_big_flare(weights):
    names = [(".norm1.", ".ln1."), (".norm2.", ".ln2."), ("out_proj.0.", "out_proj.ln.")]
    theirs = renamed(weights, *names, ("out_proj.1.", "out_proj.mlp."))
    inner = r"(latent_blocks\.\d+)\.ln"
    return {re.sub(inner, r"\1.norm", name): w for name, w in theirs.items()}


def tie(weights, part):
    return {
        name: weights[name.replace("blocks.1.", "blocks.0.")] if f".{part}." in name else w
        for name, w in weights.items()
    }


def loopy():
    return state_dict(), state_dict()


def unloopy(*parts):
    """Tied weights, and the same in the names of ``UnloopyWrapper``, where they are there once."""
    weights = state_dict()
    for part in parts:
        weights = tie(weights, part)
    theirs = {}
    for name, w in weights.items():
        _, number, part, *_ = [*name.split("."), "", ""]
        if part not in parts:
            theirs[name] = w
        elif number == "0":
            theirs[name.removeprefix("blocks.0.")] = w
    theirs = {re.sub(r"(^|\.)mlp\.", r"\1ffn.", name): w for name, w in theirs.items()}
    return weights, theirs


def gated():
    weights = state_dict(blocks=1)
    shapes = mlp_weights("blocks.0.att.g_proj", (C, C), 1)
    weights |= {k: 0.4 * torch.randn(*v).double() for k, v in shapes.items()}
    return weights, renamed(weights, (".mlp.", ".ffn."))


def shared_latents():
    weights = state_dict()
    theirs = dict(weights)
    for i in range(2):
        name = f"blocks.{i}.att.latent_q"
        theirs[name] = weights[name][: C // H]
        weights[name] = theirs[name].reshape(1, M, C // H).repeat(H, 1, 1).reshape(C, M)
    return weights, in_names_of_big_flare(theirs)


def latent_blocks():
    weights = state_dict()
    for i in range(2):
        block = f"blocks.{i}.att.latent_blocks.0"
        shapes = {"att.qkv_proj": (3 * C, C), "att.out_proj": (C, C), "mlp.fc1": (4 * C, C)}
        for name, shape in {**shapes, "mlp.fc2": (C, 4 * C), "norm1": (C,), "norm2": (C,)}.items():
            weights[f"{block}.{name}.weight"] = 0.4 * torch.randn(*shape).double()
            weights[f"{block}.{name}.bias"] = 0.4 * torch.randn(shape[0]).double()
    return weights, in_names_of_big_flare(weights)


@pytest.mark.parametrize(
    ("build", "parts", "passes"),
    [
        (loopy, (), 3),
        (unloopy, ("att",), 1),
        (unloopy, ("mlp",), 1),
        (unloopy, ("att", "mlp"), 1),
        (gated, (), 1),
        (shared_latents, (), 1),
        (latent_blocks, (), 1),
    ],
)
def test_outputs_are_the_authors_variants(build, parts, passes):
    torch.manual_seed(0)
    weights, theirs = build(*parts)
    read = FLAREOperator.from_reference_state_dict
    model = read(theirs, heads=H, pos_dim=3, scale=0.7, passes=passes).double()
    nodes = torch.randn(20, 5, dtype=torch.float64)
    want = authors(weights, nodes, 0.7, passes)
    got = model(nodes[:, 3:], nodes[:, :3])
    assert float((got - want).detach().norm() / want.detach().norm()) < 1e-5


def test_other_state_dicts_are_refused():
    weights = state_dict()
    read = FLAREOperator.from_reference_state_dict
    with pytest.raises(ValueError, match="expected a state dict of the authors' FLAREModel"):
        read({"weight": torch.zeros(2)}, heads=3, pos_dim=3)
    with pytest.raises(ValueError, match=r"'heads' to divide the 12 channels \(got 5\)"):
        read(weights, heads=5, pos_dim=3)
    other = {**weights, "blocks.0.att.latent_q": torch.zeros(5, M)}
    with pytest.raises(ValueError, match=r"of 12 channels, or of 4 if .* share it \(got 5\)"):
        read(other, heads=3, pos_dim=3)
    with pytest.raises(ValueError, match=r"expected 'in_channels' >= 0 \(got -2\)"):
        read(weights, heads=3, pos_dim=7)
    del weights["blocks.1.norm2.bias"]
    with pytest.raises(ValueError, match="weights do not fit: .*norm2.bias"):
        read(weights, heads=3, pos_dim=3)
