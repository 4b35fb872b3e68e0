"""A FLARE layer: global mixing and a pointwise MLP, each with a residual."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from flare_mesh.nn.flare_attention import FLAREAttention, Latents
from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.latent_memory import LatentState
from flare_mesh.nn.mixer import build_mixer
from flare_mesh.nn.recurrent_flare_attention import RecurrentFLAREAttention
from flare_mesh.nn.residual_mlp import ResidualMLP
from flare_mesh.nn.resolver import build_norm
from flare_mesh.nn.series import Series


class FLAREBlock(nn.Module):
    """x + Attention(Norm(x)), then x + MLP(Norm(x)) (arXiv 2508.12594).

    Args:
        channels: Channels C.
        ffn_layers: Residual hidden layers of the MLP; -1 for one Linear.
        ffn_ratio: Width of those hidden layers over C.
        norm: Normalisation of each node, ``"layer"`` or ``"rms"``.
        act: Activation, see :class:`ResidualMLP`.
        mixer: Mixing layer: None or ``"flare"`` for :class:`FLAREAttention`, one of
            :data:`~flare_mesh.nn.mixer.MIXERS`, or a class of your own or its import path, see
            :class:`~flare_mesh.nn.mixer.Mixer`.
        mixer_options: Options of another mixing layer than FLARE's, as a dictionary.
        history: Whether and how a step of a series sees earlier ones: None for
            :class:`FLAREAttention`, or as in :class:`RecurrentFLAREAttention`.
        attention: Other options of :class:`FLAREAttention` (heads, num_latents, ...).

    Shapes:
        As :class:`FLAREAttention`, but masked rows of the output are undefined.
    """

    def __init__(
        self,
        channels: int,
        *,
        ffn_layers: int = 3,
        ffn_ratio: float = 1.0,
        norm: str = "layer",
        act: str = "gelu",
        mixer: str | type[nn.Module] | None = None,
        mixer_options: Mapping[str, Any] | None = None,
        history: str | None = None,
        **attention: Any,
    ) -> None:
        super().__init__()
        c = channels
        self.norm1 = build_norm(norm, c)
        if mixer in (None, "flare"):
            if mixer_options:
                raise ValueError(
                    f"FLAREBlock: mixer_options are for another mixer than FLARE's (got "
                    f"{dict(mixer_options)}); leave them out, or set mixer"
                )
            attention |= {"norm": norm, "act": act}
            if history is None:
                self.attention = FLAREAttention(c, **attention)
            else:
                self.attention = RecurrentFLAREAttention(c, history=history, **attention)
        else:
            if history is not None:
                raise ValueError(
                    f"FLAREBlock: history is for FLARE's mixer (got '{history}' with another "
                    f"mixer); leave out history, or mixer"
                )
            # Only the methods of FLAREAttention that need its latents are missing.
            other: Any = build_mixer(mixer, c, mixer_options, **attention)
            self.attention = other
        self.norm2 = build_norm(norm, c)
        self.mlp = ResidualMLP(
            c, int(c * ffn_ratio), c, ffn_layers, input_residual=True, output_residual=True, act=act
        )

    def reset_parameters(self) -> None:
        for module in (self.norm1, self.attention, self.norm2, self.mlp):
            module.reset_parameters()  # pyright: ignore[reportCallIssue]

    def forward(self, x: Tensor, batch: Tensor | None = None, **graphs: Any) -> Tensor:
        """Arguments of :meth:`FLAREAttention.forward`."""
        return self.feed_forward(x + self.attention(self.norm1(x), batch, **graphs))

    def mix(self, x: Tensor, graphs: Graphs) -> Tensor:
        """The output at flat nodes [N, C] of checked graphs."""
        return self.feed_forward(x + self.attention.mix(self.norm1(x), graphs))

    def mix_steps(
        self, x: Tensor, graphs: Graphs, series: Series, state: LatentState | None
    ) -> tuple[Tensor, LatentState]:
        """The output at nodes [N, C] of steps of series, and the state after the last ones.

        Only with ``history``.
        """
        attention: Any = self.attention
        mixed, after = attention.mix_steps(self.norm1(x), graphs, series, state)
        return self.feed_forward(x + mixed), after

    def update(self, x: Tensor, decode_keys: Tensor, latents: Latents, graphs: Graphs) -> Tensor:
        """The output at nodes [N, C] with given latents and decode keys [N, H, D]."""
        attention = self.attention
        gates = None if attention.output_gate is None else attention.gates(self.norm1(x))
        return self.feed_forward(x + attention.decode_nodes(decode_keys, latents, graphs, gates))

    def feed_forward(self, x: Tensor) -> Tensor:
        """x + MLP(Norm(x))."""
        return x + self.mlp(self.norm2(x))
