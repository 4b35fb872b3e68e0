"""Base class of Transolver and Transolver++, which differ in the mixing layer."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import Nodes
from flare_mesh.nn.mixing_block import MixingBlock
from flare_mesh.nn.slice_attention import SliceAttention


class SliceModel(FieldModel):
    """Base of models that mix by slices: an MLP of [pos, x], blocks, a norm and a Linear.

    Args:
        attention: Builds the mixing layer of a block.
        options: As in :class:`FieldModel`.
    """

    def __init__(self, attention: Callable[[], SliceAttention], options: Mapping[str, Any]) -> None:
        super().__init__(options)
        c = self.config["hidden_channels"]
        self.embed = nn.Sequential(
            nn.Linear(self.config["pos_dim"] + self.config["in_channels"], 2 * c),
            nn.GELU(),
            nn.Linear(2 * c, c),
        )
        self.placeholder = nn.Parameter(torch.empty(c))
        self.blocks = nn.ModuleList(
            MixingBlock(c, attention(), mlp_ratio=self.config["mlp_ratio"])
            for _ in range(self.config["num_layers"])
        )
        self.norm = nn.LayerNorm(c)
        self.head = nn.Linear(c, self.config["out_channels"])
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

    def evaluate(self, nodes: Nodes) -> Tensor:
        h = self.embed(nodes.features()) + self.placeholder
        for block in self.blocks:
            h = self.run_block(block, h, nodes.graphs)
        return self.head(self.norm(h))
