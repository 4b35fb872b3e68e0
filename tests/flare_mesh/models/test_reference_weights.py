"""The authors' model, written out from its equations on a state dict in their names."""

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


def state_dict(blocks=2, inputs=5, outputs=2, kv=3, ffn=3, ffn_width=C, qk_norm=False, rms=False):
    shapes = mlp_weights("in_proj", (inputs, C), 2) | mlp_weights("out_proj.1", (C, outputs), 2)
    norms = {"out_proj.0": C}
    for i in range(blocks):
        shapes[f"blocks.{i}.att.latent_q"] = (C, M)
        shapes |= mlp_weights(f"blocks.{i}.att.k_proj", (C, C), kv)
        shapes |= mlp_weights(f"blocks.{i}.att.v_proj", (C, C), kv)
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


def authors(w, x, scale):
    h = mlp(w, "in_proj", x, False, True)
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
        mixed = scores.mT.softmax(-1) @ (scores.softmax(-1) @ value)
        h = h + linear(w, f"{b}.att.out_proj", mixed.transpose(0, 1).flatten(1))
        h = h + mlp(w, f"{b}.mlp", norm(w, f"{b}.norm2", h), True, True)
        i += 1
    return mlp(w, "out_proj.1", norm(w, "out_proj.0", h), True, False)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"kv": 0, "ffn": 1, "blocks": 1, "outputs": 1},
        {"kv": -1, "ffn": -1},
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


def test_other_state_dicts_are_refused():
    weights = state_dict()
    read = FLAREOperator.from_reference_state_dict
    with pytest.raises(ValueError, match="expected a state dict of the authors' FLAREModel"):
        read({"weight": torch.zeros(2)}, heads=3, pos_dim=3)
    with pytest.raises(ValueError, match=r"'heads' to divide the 12 channels \(got 5\)"):
        read(weights, heads=5, pos_dim=3)
    with pytest.raises(ValueError, match=r"expected 'in_channels' >= 0 \(got -2\)"):
        read(weights, heads=3, pos_dim=7)
    del weights["blocks.1.norm2.bias"]
    with pytest.raises(ValueError, match="weights do not fit: .*norm2.bias"):
        read(weights, heads=3, pos_dim=3)
