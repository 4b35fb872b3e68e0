"""The softmax transformer that FLARE is compared with."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import read_nodes
from flare_mesh.nn import ResidualMLP
from flare_mesh.nn.mixing_block import MixingBlock
from flare_mesh.nn.resolver import build_norm
from flare_mesh.nn.self_attention import SelfAttention


class Transformer(FieldModel):
    r"""Pre-norm transformer in which every node attends to all of its graph (arXiv 1706.03762).

    As it was run for FLARE (arXiv 2508.12594), between the input and output networks of
    :class:`~flare_mesh.FLAREOperator`. There is no positional encoding: coordinates are inputs.
    It costs O(N^2 C), at memory of O(N C) where neither weights nor graphs of slightly unequal
    size need a mask; see :class:`~flare_mesh.nn.self_attention.SelfAttention`.

    Args:
        in_channels: Features of each node beside its coordinates; 0 for none.
        out_channels: Field components to predict at each node.
        hidden_channels: Channels C of the layers.
        num_layers: Number of blocks.
        heads: Attention heads; divides ``hidden_channels``.
        mlp_ratio: Width of the blocks' hidden layers over C.
        pos_dim: Dimension of the coordinates.
        norm: ``"layer"`` or ``"rms"``.
        checkpointing: Computes each block again in the backward instead of keeping its
            activations: less memory for about a third more time.

    Shapes:
        x [N, in_channels] or None; pos [N, pos_dim]; batch [N] or ptr [B + 1]; weight [N];
        output [N, out_channels]. A PyG ``Data`` or ``Batch`` may take the place of x.

    Raises:
        ValueError: If an option is unknown or a size does not fit.
    """

    NAME = "transformer"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 80,
        num_layers: int = 8,
        heads: int = 5,
        mlp_ratio: float = 4.0,
        pos_dim: int = 3,
        norm: str = "layer",
        checkpointing: bool = False,
    ) -> None:
        super().__init__(
            in_channels=in_channels,
            out_channels=out_channels,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            heads=heads,
            mlp_ratio=mlp_ratio,
            pos_dim=pos_dim,
            norm=norm,
            checkpointing=checkpointing,
        )
        c = hidden_channels
        self.checkpointing = checkpointing
        self.embed = ResidualMLP(pos_dim + in_channels, c, c, output_residual=True)
        self.blocks = nn.ModuleList(
            MixingBlock(c, SelfAttention(c, heads), mlp_ratio=mlp_ratio, norm=norm)
            for _ in range(num_layers)
        )
        self.norm = build_norm(norm, c)
        self.head = ResidualMLP(c, c, out_channels, input_residual=True)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear weights from N(0, 0.02), biases 0; norms are the identity."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm | nn.RMSNorm):
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
        """The field at the nodes [N, out_channels]; arguments of :meth:`FieldModel.forward`.

        ``weight`` is the share of each node in the attention's sums: its logarithm is added to
        the scores.
        """
        nodes = read_nodes(self, x, pos, batch, ptr, weight, edge_index, batch_size)
        h = self.embed(nodes.features())
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                h = checkpoint(block, h, nodes.graphs, use_reentrant=False)
            else:
                h = block(h, nodes.graphs)
        return self.head(self.norm(h))
