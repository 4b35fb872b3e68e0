"""The base class of the models: one call, one configuration, one pair of files."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from flare_mesh.models.nodes import Nodes, read_nodes
from flare_mesh.models.stored_model import StoredModel
from flare_mesh.nn.option_checks import check_at_least, check_heads

_T = TypeVar("_T")
_LEAST = {
    "in_channels": 0,
    "out_channels": 1,
    "hidden_channels": 1,
    "num_layers": 0,
    "passes": 1,
    "pos_dim": 1,
    "num_latents": 1,
    "num_slices": 1,
    "num_experts": 1,
    "mlp_layers": 0,
}


class FieldModel(StoredModel):
    """Base of the models: features and coordinates of nodes in, a field at the nodes out.

    A subclass passes ``locals()`` of its constructor to this one before any other statement, and
    computes :meth:`evaluate`. A graph's result depends neither on the other
    graphs of a batch nor on the order of its nodes.

    Args:
        options: All options of the model by name, without modules.

    Raises:
        ValueError: If a size is too small, or the channels are not divisible by the heads.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__(options)
        for name, least in _LEAST.items():
            if name in self.config:
                check_at_least(self, least, **{name: self.config[name]})
        if "heads" in self.config:
            channels = self.config["hidden_channels"]
            check_heads(self, channels, self.config["heads"], "hidden_channels")

    @property
    def uses_edges(self) -> bool:
        """Whether :meth:`forward` uses ``edge_index``."""
        return False

    def edge_transform(self, has_cells: bool) -> str | dict[str, Any]:
        """Transform by name that makes the edges of a model that uses some.

        Args:
            has_cells: Whether the meshes have cells, whose edges can be taken.
        """
        return "mesh_edges" if has_cells else {"knn_edges": {"k": 6}}

    @property
    def can_stream(self) -> bool:
        """Whether :meth:`forward` takes ``chunk_size``."""
        return False

    @property
    def can_spread(self) -> bool:
        """Whether :meth:`forward` takes ``group``: processes that share the nodes of a graph."""
        return False

    @property
    def has_history(self) -> bool:
        """Whether :meth:`forward` takes ``series``, ``state`` and ``return_state``."""
        return False

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
        """The field at the nodes.

        Args:
            x: Features [N, in_channels], None without any, or a PyG ``Data`` or ``Batch`` with
                ``pos`` and the others under their names.
            pos: Coordinates [N, pos_dim].
            batch: Graph of each node [N], sorted.
            ptr: Offsets of the graphs [B + 1], instead of ``batch`` or in agreement with it.
            weight: Positive quadrature weight of each node (its area or volume), [N].
            edge_index: Edges [2, E], for models with message passing.
            batch_size: Number of graphs of ``batch``, where it is known.

        Returns:
            [N, out_channels].

        Raises:
            ValueError: If shapes do not fit.
        """
        nodes = read_nodes(self, x, pos, batch, ptr, weight, edge_index, batch_size)
        return self.evaluate(nodes)

    @abstractmethod
    def evaluate(self, nodes: Nodes) -> Tensor:
        """The field [N, out_channels] at checked nodes."""

    def run_block(self, block: Callable[..., _T], *inputs: Any) -> _T:
        """Output of a block, whose activations are not stored under ``checkpointing``."""
        if self.config["checkpointing"] and torch.is_grad_enabled():
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)

    def __repr__(self) -> str:
        shown = ("in_channels", "out_channels", "hidden_channels", "num_layers", "heads",
                 "num_latents", "num_slices")  # fmt: skip
        given = ", ".join(f"{key}={self.config[key]}" for key in shown if key in self.config)
        return f"{type(self).__name__}({given})"
