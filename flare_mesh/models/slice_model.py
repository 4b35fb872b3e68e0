"""Base class of Transolver, Transolver++ and LaMO, which differ in the mixing layer."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import Nodes
from flare_mesh.nn.mixing_block import MixingBlock


class SliceModel(FieldModel):
    """Base of models that mix by slices: an MLP of [pos, x], blocks, a norm and a Linear.

    Args:
        attention: Builds the mixing layer of a block.
        options: As in :class:`FieldModel`.
        shared: Builds a module that the mixing layers of all blocks are called with. It keeps the
            initial weights of its own ``reset_parameters``.
    """

    def __init__(
        self,
        attention: Callable[[], nn.Module],
        options: Mapping[str, Any],
        shared: Callable[[], nn.Module] | None = None,
    ) -> None:
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
        self.shared = None if shared is None else shared()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear weights from a truncated N(0, 0.02), biases 0, the placeholder from U(0, 1/C)."""
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif module is not self and hasattr(module, "reset_parameters"):
                module.reset_parameters()  # pyright: ignore[reportCallIssue]
        if self.shared is not None:
            self.shared.reset_parameters()  # pyright: ignore[reportCallIssue]
        nn.init.uniform_(self.placeholder, 0.0, 1 / len(self.placeholder))

    def evaluate(self, nodes: Nodes) -> Tensor:
        h = self.embed(nodes.features()) + self.placeholder
        shared = () if self.shared is None else (self.shared,)
        for block in self.blocks:
            h = self.run_block(block, h, nodes.graphs, *shared)
        return self.head(self.norm(h))
