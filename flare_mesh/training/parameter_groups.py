"""Which parameters weight decay acts on."""

from typing import Any

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch_geometric.nn import HeteroLinear, Linear

_LAYERS = (nn.Linear, nn.Bilinear, _ConvNd, Linear, HeteroLinear)
# The last two: the base of batch and instance norms, and what stands for a table of vectors.
_WITHOUT = (nn.LayerNorm, nn.RMSNorm, nn.GroupNorm, _NormBase, nn.Embedding, nn.EmbeddingBag)


def parameter_groups(
    module: nn.Module, weight_decay: float, *, decay_latents: bool = False
) -> list[dict[str, Any]]:
    """Parameters for an optimiser: those with weight decay, and those without.

    Weights of layers decay: parameters with two or more axes whose name holds "weight", but for
    those of norms and embeddings. Biases, norms, embeddings and other vectors do not, and neither
    do parameters that are no layer's weight: latents, queries, gates, learned frequencies.

    Args:
        module: The module; what it has frozen is left out.
        weight_decay: Of the first group.
        decay_latents: Lets parameters that are no layer's weight decay too, as in the published
            runs of FLARE, where all decay but norms, biases and embeddings.

    Returns:
        Two groups, either of which may be without parameters.
    """
    decayed = {"weight", "latent"} if decay_latents else {"weight"}
    kinds = _kinds(module)
    trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
    return [
        {"params": [p for p in trained if kinds[p] in decayed], "weight_decay": weight_decay},
        {"params": [p for p in trained if kinds[p] not in decayed], "weight_decay": 0.0},
    ]


def hidden_matrices(module: nn.Module) -> list[Tensor]:
    """Weight matrices [out, in] of layers, but for the first and the last that the module has.

    The first reads the input, and the last writes the output: the order is that in which the
    module registers them. What is frozen is left out.
    """
    kinds = _kinds(module)
    matrices = [p for p in module.parameters() if kinds[p] == "weight"]
    return [p for p in matrices[1:-1] if p.dim() == 2 and p.requires_grad]


def _kinds(module: nn.Module) -> dict[Tensor, str]:
    """Each parameter's kind; one that several modules share has that of the first without decay."""
    kinds: dict[Tensor, str] = {}
    for owner in module.modules():
        for name, parameter in owner.named_parameters(recurse=False):
            kind = _kind(owner, name, parameter)
            if kinds.get(parameter, "weight") == "weight":
                kinds[parameter] = kind
    return kinds


def _kind(owner: nn.Module, name: str, parameter: Tensor) -> str:
    if isinstance(owner, _WITHOUT) or "bias" in name:
        return "vector"
    if "weight" not in name:
        return "latent"
    # A sharded layer's weight may be flat.
    return "weight" if parameter.dim() > 1 or isinstance(owner, _LAYERS) else "vector"
