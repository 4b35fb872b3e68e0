"""The Latent Neural Operator."""

from typing import Any

import torch
from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import read_nodes
from flare_mesh.nn import ResidualMLP
from flare_mesh.nn.graph_products import GraphProducts
from flare_mesh.nn.latent_block import LatentBlock
from flare_mesh.nn.option_checks import check_at_least, check_heads
from flare_mesh.ops.precision import wide

_TRUNKS = ("pos", "features")


class LNO(FieldModel):
    r"""A transformer on latents that nodes write to and read from by one score (arXiv 2406.03923).

    Physics-cross-attention: scores S [N, M] of a node with each latent come from its trunk, what
    it writes from its branch, and the same scores lead back:

    .. math::
        S = \mathrm{MLP}(\mathrm{trunk}(p)), \quad
        Z = \mathrm{softmax}_N(S + \log w)^T\, \mathrm{branch}([p, x]), \quad
        Y = \mathrm{softmax}_M(S)\, \mathrm{Block}_L(\dots \mathrm{Block}_1(Z))

    and a pointwise head. The cost is O(N M C), and O(M^2 C) for each block. The scores of all
    nodes are in memory, N M numbers.

    Departures: the authors' code knows graphs of one size only, here they may differ. In FLARE's
    comparison (arXiv 2508.12594) the trunk sees the features too, ``trunk="features"``; without
    features both are the same. GELU is in its tanh form (the authors': exact; 5e-4 apart).

    Args:
        in_channels: Features of each node beside its coordinates; 0 for none.
        out_channels: Field components to predict at each node.
        hidden_channels: Channels C; the default sizes are those for elasticity.
        num_layers: Number of blocks on the latents.
        heads: Attention heads of the blocks; divides ``hidden_channels``.
        num_latents: Latents M, the paper's modes.
        pos_dim: Dimension of the coordinates.
        mlp_layers: Residual hidden layers of trunk, branch, score network and head.
        mlp_ratio: Width of the blocks' pointwise networks over C.
        trunk: What the scores depend on: ``"pos"``, or ``"features"`` for [pos, x].
        act: Activation of all networks, see :class:`~flare_mesh.nn.ResidualMLP`.

    Shapes:
        As :meth:`FieldModel.forward`. ``weight`` enters the softmax over the nodes as log w: the
        latents gather by quadrature.

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
        super().__init__(
            in_channels=in_channels,
            out_channels=out_channels,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            heads=heads,
            num_latents=num_latents,
            pos_dim=pos_dim,
            mlp_layers=mlp_layers,
            mlp_ratio=mlp_ratio,
            trunk=trunk,
            act=act,
        )
        c, name = hidden_channels, type(self).__name__
        check_heads(name, c, heads)
        check_at_least(name, 1, num_latents=num_latents)
        check_at_least(name, 0, mlp_layers=mlp_layers)
        if trunk not in _TRUNKS:
            raise ValueError(f"{name}: unknown trunk '{trunk}'; choose from {list(_TRUNKS)}")
        features = pos_dim + in_channels
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
        """torch's own initialisation, as in the authors' code."""
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.LayerNorm)):
                module.reset_parameters()

    def forward(
        self,
        x: Any,
        pos: Tensor | None = None,
        batch: Tensor | None = None,
        *,
        ptr: Tensor | None = None,
        weight: Tensor | None = None,
        edge_index: Tensor | None = None,
        batch_size: int | None = None,
    ) -> Tensor:
        nodes = read_nodes(self, x, pos, batch, ptr, weight, edge_index, batch_size)
        features = nodes.features()
        products = GraphProducts(nodes.graphs.layout, features.shape[0])
        score = self.score(self.trunk(nodes.pos if self.config["trunk"] == "pos" else features))
        written = self.branch(features)
        latents = self._gather(score, written, products, nodes.graphs.log_weight)
        latents = latents.to(written.dtype)
        for block in self.blocks:
            latents = block(latents)
        with torch.autocast(features.device.type, enabled=False):
            share = wide(score).softmax(-1)[:, None]
            read = products.read(share, wide(latents)[:, None])[:, 0]
        return self.head(read.to(written.dtype))

    @staticmethod
    def _gather(
        score: Tensor, written: Tensor, products: GraphProducts, log_weight: Tensor | None
    ) -> Tensor:
        """Latents [B, M, C]: averages of what the nodes write, 0 for a graph without nodes."""
        with torch.autocast(score.device.type, enabled=False):
            score, value = wide(score), wide(written)
            if log_weight is not None:
                score = score + log_weight.to(score.dtype)[:, None]
            share = (score - products.largest(score)).exp()
            value = torch.cat([value, torch.ones_like(value[:, :1])], dim=-1)
            sums = products.sums(share[:, None], value[:, None])[:, 0]
            total = sums[..., -1:]
            return sums[..., :-1] / total.masked_fill(total == 0, 1.0)
