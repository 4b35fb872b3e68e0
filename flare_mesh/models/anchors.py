"""The anchors of AB-UPT: nodes that others attend to."""

from typing import NamedTuple

from torch import Tensor

from flare_mesh.nn.positions import Rotation, rotation
from flare_mesh.nn.token_block import Keys, TokenBlock
from flare_mesh.ops.packing import MASKED
from flare_mesh.ops.supernodes import Supernodes


class Anchors(NamedTuple):
    """Anchors of B graphs, S of each.

    Attributes:
        places: Their scaled coordinates, [B, S, d].
        features: Their embedded features [B, S, C], or None.
        log_measure: Logarithm of the weight of the nodes that each stands for;
            :data:`~flare_mesh.ops.packing.MASKED` for padding, [B, S].
        turn: Their rotation.
        supernodes: Their nodes and neighbours; None if no graph has an anchor.
        may_lack: Whether a graph with nodes may have no anchor.
    """

    places: Tensor
    features: Tensor | None
    log_measure: Tensor
    turn: Rotation
    supernodes: Supernodes | None
    may_lack: bool

    def keys(self, block: TokenBlock, tokens: Tensor) -> Keys:
        """What others attend to in a block, for its tokens [B, S, C] at the anchors.

        Padding has the value 0, so that attention to no anchor is 0.
        """
        keys = block.keys(tokens, self.log_measure, self.turn)
        if not self.may_lack:
            return keys
        absent = (self.log_measure <= MASKED)[..., None, None]
        key, value = (t.masked_fill(absent, 0.0) for t in (keys.key, keys.value))
        return Keys(key, value, keys.bias)


def anchors_at(
    places: Tensor,
    features: Tensor | None,
    supernodes: Supernodes,
    head_channels: int,
    may_lack: bool,
) -> Anchors:
    """Anchors at supernodes.

    Args:
        places: Scaled coordinates of the nodes, [N, d].
        features: Embedded features of the nodes [N, C], or None.
        supernodes: The supernodes.
        head_channels: Channels of a head.
        may_lack: As in :class:`Anchors`.
    """
    at = places[supernodes.node]
    chosen = None if features is None else features[supernodes.node]
    turn = rotation(at, head_channels)
    return Anchors(at, chosen, supernodes.log_measure, turn, supernodes, may_lack)


def no_anchors(places: Tensor, features: Tensor | None, graphs: int, head_channels: int) -> Anchors:
    """A place of padding for each graph; arguments as for :func:`anchors_at`, without nodes."""
    at = places.new_zeros(graphs, 1, places.shape[1])
    zero = None if features is None else features.new_zeros(graphs, 1, features.shape[1])
    log_measure = places.new_full((graphs, 1), MASKED)
    return Anchors(at, zero, log_measure, rotation(at, head_channels), None, True)
