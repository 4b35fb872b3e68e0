"""Base class of Transolver, Transolver++ and LaMO, which differ in the mixing layer."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import Nodes
from flare_mesh.nn.global_features import check_global_channels, split_channels
from flare_mesh.nn.grid import check_grids, reference_distances
from flare_mesh.nn.init import init_truncated
from flare_mesh.nn.mixing_block import MixingBlock
from flare_mesh.nn.option_checks import check_at_least
from flare_mesh.nn.time_embedding import TimeEmbedding


class SliceModel(FieldModel):
    """Base of models that mix by slices: an MLP of [pos, x], blocks, a norm and a Linear.

    Args:
        attention: Builds the mixing layer of a block.
        options: As in :class:`FieldModel`. With ``grid_shape``, graphs must be such grids; with
            ``reference_points``, their distances take the place of the coordinates. With
            ``time_channel``, that channel of x is embedded by
            :class:`~flare_mesh.nn.time_embedding.TimeEmbedding` and no feature of the nodes.
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
        self.grid_shape: list[int] | None = self.config.get("grid_shape")
        self.reference_points: int | None = self.config.get("reference_points")
        time: int | None = self.config.get("time_channel")
        self.time_channels = [] if time is None else [time]
        check_global_channels(self, self.config["in_channels"], self.time_channels, "time_channel")
        positions = self.config["pos_dim"]
        if self.reference_points is not None:
            if self.grid_shape is None:
                raise ValueError(
                    f"{type(self).__name__}: 'reference_points' are for regular grids; give "
                    f"'grid_shape', or leave it out"
                )
            check_at_least(self, 1, reference_points=self.reference_points)
            positions = self.reference_points ** len(self.grid_shape)
        self.embed = nn.Sequential(
            nn.Linear(positions + self.config["in_channels"] - len(self.time_channels), 2 * c),
            nn.GELU(),
            nn.Linear(2 * c, c),
        )
        self.time = None if time is None else TimeEmbedding(c)
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
        init_truncated(self)
        if self.shared is not None:
            self.shared.reset_parameters()  # pyright: ignore[reportCallIssue]
        nn.init.uniform_(self.placeholder, 0.0, 1 / len(self.placeholder))

    def evaluate(self, nodes: Nodes) -> Tensor:
        if self.grid_shape is not None:
            check_grids(self, nodes.graphs.layout, self.grid_shape)
            nodes = self._with_reference_distances(nodes, self.grid_shape)
        own, time = split_channels(nodes.x, self.time_channels)
        h = self.embed(nodes._replace(x=own).features()) + self.placeholder
        if self.time is not None and time is not None:
            h = h + self.time(time, nodes.graphs)
        shared = () if self.shared is None else (self.shared,)
        for block in self.blocks:
            h = self.run_block(block, h, nodes.graphs, *shared)
        return self.head(self.norm(h))

    def _with_reference_distances(self, nodes: Nodes, shape: list[int]) -> Nodes:
        """Nodes with distances to reference points as coordinates, where the options say so."""
        if self.reference_points is None:
            return nodes
        distances = reference_distances(shape, self.reference_points, nodes.pos)
        return nodes._replace(pos=distances.repeat(len(nodes.pos) // len(distances), 1))
