"""Parameter groups with and without weight decay."""

from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch_geometric.nn import HeteroLinear, Linear

_LAYERS = (nn.Linear, nn.Bilinear, _ConvNd, Linear, HeteroLinear)
# _NormBase is the base of batch and instance norms.
_WITHOUT_DECAY = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, _NormBase, nn.Embedding, nn.EmbeddingBag)


def parameter_groups(
    module: nn.Module, weight_decay: float, *, decay_latents: bool = False
) -> list[dict[str, Any]]:
    """Parameter groups for an optimiser: with weight decay, and without.

    Weights of layers decay: parameters with two or more axes and "weight" in their name, except in
    norms and embeddings. Biases and other vectors do not decay, nor do parameters that are no
    layer's weight: latents, queries, gates, learned frequencies.

    Args:
        module: The module; its frozen parameters are left out.
        weight_decay: Weight decay of the first group.
        decay_latents: Whether parameters that are no layer's weight decay too, as in the published
            runs of FLARE, where only norms, biases and embeddings do not.

    Returns:
        Two groups, either of which may have no parameters.
    """
    decayed = {"weight", "latent"} if decay_latents else {"weight"}
    kinds = _kinds(module)
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if kinds[p] in decayed], "weight_decay": weight_decay},
        {"params": [p for p in trained if kinds[p] not in decayed], "weight_decay": 0.0},
    ]


def hidden_matrices(module: nn.Module) -> list[Tensor]:
    """Weight matrices [out, in] of layers, without the first and the last of the module.

    In the order in which the module registers them, the first reads the input, and the last writes
    the output. Frozen matrices are left out.
    """
    kinds = _kinds(module)
    matrices = [p for p in module.parameters() if kinds[p] == "weight"]
    return [p for p in matrices[1:-1] if p.dim() == 2 and p.requires_grad]


def _kinds(module: nn.Module) -> dict[Tensor, str]:
    """Kind of each parameter: "weight", "latent" or "vector".

    A parameter shared by several modules is a "weight" only if it is one in all of them.
    """
    kinds: dict[Tensor, str] = {}
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False):
            kind = _kind(owner, name, parameter)
            if kinds.get(parameter, "weight") == "weight":
                kinds[parameter] = kind
    return kinds


def _kind(owner: nn.Module, name: str, parameter: Tensor) -> str:
    if isinstance(owner, _WITHOUT_DECAY) or "bias" in name:
        return "vector"
    if "weight" not in name:
        return "latent"
    # FSDP may have flattened a layer's weight.
    return "weight" if parameter.dim() > 1 or isinstance(owner, _LAYERS) else "vector"
