"""The FLARE mixing layer for series of meshes."""

from typing import Any

from torch import Tensor

from flare_mesh.nn.flare_attention import FLAREAttention
from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.latent_memory import LatentMemory, LatentState
from flare_mesh.nn.series import Series


class RecurrentFLAREAttention(FLAREAttention):
    r"""FLARE mixing in which a step of a series of meshes sees itself and the earlier steps.

    Each step is encoded as in :class:`FLAREAttention`, its latents are merged with those of the
    earlier steps (:class:`LatentMemory`), and the step's nodes decode these. The meshes may change
    from step to step; what is kept of a series has the size H M (D + 1). A step without earlier
    ones is mixed as by :class:`FLAREAttention`. With synthesized queries, each step is encoded with
    the queries from its own nodes.

    Args:
        channels: Channels C of input and output.
        heads: Heads H; divides ``channels``.
        num_latents: Latents M of each head.
        history: Weights of the earlier steps, see :class:`LatentMemory`.
        options: As in :class:`FLAREAttention`.

    Shapes:
        As :class:`FLAREAttention`, whose ``forward`` mixes first steps.
    """

    def __init__(
        self, channels: int, heads: int = 8, num_latents: int = 64, *, history: str, **options: Any
    ) -> None:
        super().__init__(channels, heads, num_latents, **options)
        self.memory = LatentMemory(heads, num_latents, history)

    def reset_parameters(self) -> None:
        super().reset_parameters()
        if hasattr(self, "memory"):  # the base class draws the weights before there is one
            self.memory.reset_parameters()

    def mix_steps(
        self, x: Tensor, graphs: Graphs, series: Series, state: LatentState | None
    ) -> tuple[Tensor, LatentState]:
        """The output at flat nodes [N, C] of checked steps, and the state after the last ones."""
        key = self.keys(x)
        query = self.latent_queries(x, graphs).to(key.dtype)
        encoded = self.encode_part(query, key, self.values(x), graphs, self._scale())
        latent, new = self.memory(*encoded, series, state)
        latents = self.latents(query, latent)
        return self.decode_nodes(self.decode_keys(x, key), latents, graphs, self.gates(x)), new
