"""The Latent Neural Operator."""

import torch
from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import Nodes
from flare_mesh.nn import ResidualMLP
from flare_mesh.nn.latent_block import LatentBlock
from flare_mesh.nn.option_checks import check_choice
from flare_mesh.ops.precision import wide

_TRUNKS = ("pos", "features")


class LNO(FieldModel):
    r"""A transformer on latents, with the same scores for encode and decode (arXiv 2406.03923).

    Physics-cross-attention: the scores S [N, M] of the nodes and latents come from a trunk network,
    the values of the nodes from a branch network:

    .. math::
        S = \mathrm{MLP}(\mathrm{trunk}(p)), \quad
        Z = \mathrm{softmax}_N(S + \log w)^T\, \mathrm{branch}([p, x]), \quad
        Y = \mathrm{softmax}_M(S)\, \mathrm{Block}_L(\dots \mathrm{Block}_1(Z))

    followed by a pointwise head. The cost is O(N M C), and O(M^2 C) for each block. The scores of
    all nodes are in memory, N M numbers.

    Departures: the authors' code needs graphs of equal size, here they may differ. In FLARE's
    comparison (arXiv 2508.12594) the input of the trunk has the features too,
    ``trunk="features"``; without features both are the same. GELU is the tanh form (the authors'
    is exact; they differ by up to 5e-4).

    Sizes and options without an entry are as in :class:`~flare_mesh.FLAREOperator`.

    Args:
        hidden_channels: Channels C; the default sizes are the authors' for elasticity.
        num_layers: Number of blocks on the latents.
        num_latents: Latents M, called modes in the paper.
        mlp_layers: Residual hidden layers of trunk, branch, score network and head.
        mlp_ratio: Width of the blocks' MLPs over C.
        trunk: Input of the trunk: ``"pos"``, or ``"features"`` for [pos, x].

    Shapes:
        As :meth:`FieldModel.forward`. The logarithm of ``weight`` is added to the scores in the
        softmax over the nodes, which becomes a quadrature.

    Raises:
        ValueError: If a size does not fit, or ``trunk`` is unknown.
    """

    NAME = "lno"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 192,
        num_layers: int = 4,
        heads: int = 8,
        num_latents: int = 256,
        pos_dim: int = 3,
        mlp_layers: int = 3,
        mlp_ratio: float = 2.0,
        trunk: str = "pos",
        act: str = "gelu",
    ) -> None:
        super().__init__(locals())
        check_choice(self, _TRUNKS, trunk=trunk)
        c, features = hidden_channels, pos_dim + in_channels
        seen = pos_dim if trunk == "pos" else features
        self.trunk = ResidualMLP(seen, c, c, mlp_layers, act=act)
        self.branch = ResidualMLP(features, c, c, mlp_layers, act=act)
        self.score = ResidualMLP(c, c, num_latents, mlp_layers, act=act)
        self.blocks = nn.ModuleList(
            LatentBlock(c, heads, mlp_ratio=mlp_ratio, bias=True, act=act)
            for _ in range(num_layers)
        )
        self.head = ResidualMLP(c, c, out_channels, mlp_layers, act=act)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """torch's default initialisation, as in the authors' code."""
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.LayerNorm)):
                module.reset_parameters()

    def evaluate(self, nodes: Nodes) -> Tensor:
        features = nodes.features()
        products = nodes.graphs.layout.products(features.shape[0])
        score = self.score(self.trunk(nodes.pos if self.config["trunk"] == "pos" else features))
        value = self.branch(features)
        with torch.autocast(features.device.type, enabled=False):
            score, branch = wide(score)[:, None], wide(value)[:, None]
            latents = products.averages(score, branch, nodes.graphs.log_weight)
        latents = latents[:, 0].to(value.dtype)
        for block in self.blocks:
            latents = block(latents)
        with torch.autocast(features.device.type, enabled=False):
            decoded = products.multiply(score.softmax(-1), wide(latents)[:, None])[:, 0]
        return self.head(decoded.to(value.dtype))
