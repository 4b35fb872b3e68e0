"""The base class of the mixing layers."""

from abc import ABC, abstractmethod
from typing import ClassVar

from torch import Tensor, nn

from flare_mesh.nn.graphs import Graphs


class MixingLayer(nn.Module, ABC):
    """Base of layers that mix the nodes of each graph.

    The constructor takes the channels C first, ``heads`` and ``num_latents`` or ``num_slices`` by
    these names if it has them, and its own options. A graph's result depends neither on the other
    graphs of a batch nor, unless ``ORDERED``, on the order of its nodes.

    Shapes:
        x [N, C], output [N, C].
    """

    ORDERED: ClassVar[bool] = False
    """Whether the result depends on the order of a graph's nodes, as that of a sequence does."""
    SIZED: ClassVar[bool] = False
    """Whether there are parameters for each place of a graph, up to the option ``max_nodes``."""
    ROTARY: ClassVar[bool] = False
    """Whether ``forward`` takes a :class:`~flare_mesh.nn.positions.Rotation` of the queries and
    keys of a sequence's tokens as a third argument."""

    @abstractmethod
    def forward(self, x: Tensor, graphs: Graphs) -> Tensor:
        """The output at the nodes [N, C]."""

    def reset_parameters(self) -> None:
        """Draw the parameters that a model does not draw: all but Linear layers and norms."""
