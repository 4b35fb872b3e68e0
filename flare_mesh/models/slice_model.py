"""What Transolver and Transolver++ share: everything but the mixing layer."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import read_nodes
from flare_mesh.nn.mixing_block import MixingBlock
from flare_mesh.nn.slice_attention import SliceAttention


class SliceModel(FieldModel):
    """Base of models that mix by slices: an MLP of [pos, x], blocks, a norm and a Linear.

    Args:
        attention: Makes the mixing layer of a block.
        config: All options of the model.
    """

    def __init__(self, attention: Callable[[], SliceAttention], **config: Any) -> None:
        super().__init__(**config)
        c = config["hidden_channels"]
        self.checkpointing = config["checkpointing"]
        self.embed = nn.Sequential(
            nn.Linear(config["pos_dim"] + config["in_channels"], 2 * c),
            nn.GELU(),
            nn.Linear(2 * c, c),
        )
        self.placeholder = nn.Parameter(torch.empty(c))
        self.blocks = nn.ModuleList(
            MixingBlock(c, attention(), mlp_ratio=config["mlp_ratio"])
            for _ in range(config["num_layers"])
        )
        self.norm = nn.LayerNorm(c)
        self.head = nn.Linear(c, config["out_channels"])
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear weights from a truncated N(0, 0.02), biases 0, the placeholder from U(0, 1/C)."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm | SliceAttention):
                module.reset_parameters()
        nn.init.uniform_(self.placeholder, 0.0, 1 / len(self.placeholder))

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

        ``weight`` is the share of each node in the averages of the slices; only the ratios
        within a graph matter.
        """
        nodes = read_nodes(self, x, pos, batch, ptr, weight, edge_index, batch_size)
        h = self.embed(nodes.features()) + self.placeholder
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                h = checkpoint(block, h, nodes.graphs, use_reentrant=False)
            else:
                h = block(h, nodes.graphs)
        return self.head(self.norm(h))
