"""The mixing layer of GeoTransolver."""

from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from flare_mesh.nn.context_mix import ContextMix
from flare_mesh.nn.mixers.physics_attention import PhysicsAttention
from flare_mesh.nn.slice_context import limited


class GALEAttention(PhysicsAttention):
    """Physics-Attention whose slices attend to a context too: GALE (arXiv 2512.20399).

    The slices of :class:`~flare_mesh.nn.mixers.physics_attention.PhysicsAttention` attend to each
    other and, by :class:`~flare_mesh.nn.context_mix.ContextMix` with the scale 1 / sqrt(D), to the
    context; the mixture of both is spread to the nodes. The temperature stays within 0.5 and 5
    (:func:`~flare_mesh.nn.slice_context.limited`).
    Departure: the authors' code adds 0.01 to the denominator of the slices' averages, here 1e-5 as
    in Transolver.

    Args:
        channels: Channels C.
        heads: Heads H; divides C.
        num_slices: Slices G of each head.
        context_channels: Channels of the context.
        mixing: As in :class:`~flare_mesh.nn.context_mix.ContextMix`.

    Shapes:
        x [N, C], context [B, H, S, context_channels], output [N, C].
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        num_slices: int,
        *,
        context_channels: int,
        mixing: str = "gate",
    ) -> None:
        super().__init__(channels, heads, num_slices)
        self.context = ContextMix(channels // heads, context_channels, mixing)

    def temperatures(self, projected: Tensor) -> Tensor:
        return limited(self.temperature)

    def mix_slices(self, slices: Tensor, *contexts: Tensor) -> Tensor:
        (context,) = contexts
        context = context.to(slices.dtype)
        key, value = self.context.key(context), self.context.value(context)
        cross = scaled_dot_product_attention(self.context.query(slices), key, value)
        return self.context.mix(super().mix_slices(slices), cross)
