"""Conversion of weights from the authors' repository, vpuri3/FLARE.py."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

_RENAMED = (
    (r"^module\.|^_orig_mod\.", ""),
    (r"^in_proj\.", "encoder.mlp."),
    (r"^out_proj\.(0|ln)\.", "norm."),
    (r"^out_proj\.(1|mlp)\.", "head."),
    (r"^att\.", "blocks.0.attention."),  # shared by all blocks
    (r"^ffn\.", "blocks.0.mlp."),
    (r"\.ffn\.", ".mlp."),
    (r"\.ln([12])\.", r".norm\1."),
    (r"(\.latent_blocks\.\d+)\.att\.qkv_proj\.", r"\1.query_key_value."),
    (r"(\.latent_blocks\.\d+)\.att\.", r"\1."),
    (r"\.att\.", ".attention."),
    (r"\.g_proj\.", ".output_gate."),
    (r"\.latent_q$", ".latent_query"),
    (r"\.k_proj\.", ".key."),
    (r"\.v_proj\.", ".value."),
    (r"\.out_proj\.", ".out."),
    (r"\.q_norm\.", ".query_norm."),
    (r"\.k_norm\.", ".key_norm."),
    (r"\.(fc|fc1)\.(weight|bias)$", r".layers.0.\2"),
)


def _rename(name: str) -> str:
    for pattern, new in _RENAMED:
        name = re.sub(pattern, new, name)
    return re.sub(r"\.fcs\.(\d+)\.", lambda match: f".layers.{int(match[1]) + 1}.", name)


def _depth(state: Mapping[str, Tensor], prefix: str) -> int:
    """Number of residual hidden layers of the MLP with this prefix."""
    numbers = [
        int(match[1])
        for name in state
        if (match := re.match(re.escape(prefix) + r"layers\.(\d+)\.weight$", name))
    ]
    return max(numbers, default=0) if f"{prefix}fc2.weight" in state else -1


def _one_or_pair(key: Any, value: Any) -> Any:
    return key if key == value else [key, value]


def read_reference(
    state_dict: Mapping[str, Tensor], *, heads: int, pos_dim: int, scale: float
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Options and state dict of the :class:`~flare_mesh.FLAREOperator` with the same outputs.

    Raises:
        ValueError: If the state dict is not from the authors' ``FLAREModel``.
    """
    state = {_rename(name): tensor for name, tensor in state_dict.items()}
    try:
        latents = state["blocks.0.attention.latent_query"]
        first, last = state["encoder.mlp.layers.0.weight"], state["head.fc2.weight"]
        channels = len(state["blocks.0.norm1.weight"])
    except KeyError as error:
        raise ValueError(
            f"from_reference_state_dict: expected a state dict of the authors' FLAREModel, with "
            f"'in_proj', 'blocks' and 'out_proj' (got no weight for {error})"
        ) from error
    query_channels, num_latents = latents.shape
    if channels % heads:
        raise ValueError(
            f"from_reference_state_dict: expected 'heads' to divide the {channels} channels "
            f"(got {heads})"
        )
    if query_channels not in (channels, channels // heads):
        raise ValueError(
            f"from_reference_state_dict: expected 'latent_q' of {channels} channels, or of "
            f"{channels // heads} if the heads share it (got {query_channels})"
        )
    num_blocks = 1 + max(int(m[1]) for n in state if (m := re.match(r"blocks\.(\d+)\.", n)))
    attention, mlp = "blocks.0.attention.", "blocks.0.mlp."
    key, value, gate = (f"{attention}{part}." for part in ("key", "value", "output_gate"))

    def ratio(prefix: str) -> float:
        if _depth(state, prefix) < 0:
            return 1.0
        return state[f"{prefix}layers.0.weight"].shape[0] / channels

    def has_shared(part: str) -> bool:
        return any(re.match(rf"((module|_orig_mod)\.)?{part}\.", name) for name in state_dict)

    latent_blocks = [n for n in state if n.startswith(attention) and n.endswith("key_value.weight")]
    options: dict[str, Any] = {
        "in_channels": first.shape[1] - pos_dim,
        "out_channels": last.shape[0],
        "hidden_channels": channels,
        "num_layers": num_blocks,
        "shared_attention": has_shared("att"),
        "shared_ffn": has_shared("ffn"),
        "heads": heads,
        "num_latents": num_latents,
        "pos_dim": pos_dim,
        "encoder_options": {"num_layers": _depth(state, "encoder.mlp.")},
        "head_layers": _depth(state, "head."),
        "kv_layers": _one_or_pair(_depth(state, key), _depth(state, value)),
        "kv_ratio": _one_or_pair(ratio(key), ratio(value)),
        "shared_latents": query_channels < channels,
        "latent_blocks": len(latent_blocks),
        "gate_layers": _depth(state, gate) if any(n.startswith(gate) for n in state) else None,
        "ffn_layers": _depth(state, mlp),
        "ffn_ratio": ratio(mlp),
        "scale": scale,
        "qk_norm": "blocks.0.attention.key_norm.weight" in state,
        "norm": "layer" if "norm.bias" in state else "rms",
    }
    ours = {}
    for name, tensor in state.items():
        if name.endswith("latent_query"):
            tensor = tensor.reshape(-1, num_latents, channels // heads)
        elif match := re.match(r"(.*\.)fc2\.(weight|bias)$", name):
            name = f"{match[1]}layers.{_depth(state, match[1]) + 1}.{match[2]}"
        ours[name] = tensor
    return options, ours
