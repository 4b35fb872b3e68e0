"""Base class of the models that are a stack of mixing blocks between two MLPs."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import Nodes
from flare_mesh.nn import ResidualMLP
from flare_mesh.nn.init import init_linear
from flare_mesh.nn.mixing_block import MixingBlock
from flare_mesh.nn.resolver import build_norm


class BlockModel(FieldModel):
    """Base of models of blocks between the input and output networks of FLARE's comparison.

    Args:
        options: As in :class:`FieldModel`; ``num_layers`` is the number of blocks.
        block: Builds a block.
    """

    def __init__(self, options: Mapping[str, Any], block: Callable[[], MixingBlock]) -> None:
        super().__init__(options)
        given = self.config
        c, features = given["hidden_channels"], given["pos_dim"] + given["in_channels"]
        self.embed = ResidualMLP(features, c, c, output_residual=True)
        self.blocks = nn.ModuleList(block() for _ in range(given["num_layers"]))
        self.norm = build_norm(given["norm"], c)
        self.head = ResidualMLP(c, c, given["out_channels"], input_residual=True)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear weights from N(0, 0.02), biases 0, norms the identity; the rest by its layer."""
        init_linear(self)
        for block in self.blocks:
            block.attention.reset_parameters()  # pyright: ignore

    def evaluate(self, nodes: Nodes) -> Tensor:
        return self.head(self.norm(self.run_blocks(self.embed(nodes.features()), nodes)))

    def run_blocks(self, h: Tensor, nodes: Nodes) -> Tensor:
        """Nodes [N, C] through all blocks."""
        for block in self.blocks:
            h = self.run_block(block, h, nodes.graphs)
        return h
