"""Self-attention among the latents of a FLARE layer."""

from torch import Tensor, nn

from flare_mesh.nn.latent_block import LatentBlock


class LatentMixing(nn.ModuleList):
    r"""Transformer layers between the encode and the decode of FLARE.

    .. math::
        Z \leftarrow \mathrm{Block}_L(\dots \mathrm{Block}_1(Z))

    in which the heads' latents Z are side by side, M vectors of C = H D channels: an ablation in
    the authors' code (arXiv 2508.12594). The blocks are :class:`LatentBlock` with biases,
    LayerNorm and an MLP of width 4 C whose GELU is the exact one, as there. The cost is O(M^2 C) a
    block, whatever the number of nodes.

    Args:
        channels: Channels C.
        heads: Heads H, of the blocks as well.
        num_blocks: Number L of blocks.
        act: Activation, see :class:`ResidualMLP`; ``"gelu"`` is ``"exact_gelu"`` here.

    Shapes:
        input and output [B, H, M, D].
    """

    def __init__(self, channels: int, heads: int, num_blocks: int, *, act: str = "gelu") -> None:
        act = "exact_gelu" if act == "gelu" else act
        super().__init__(
            LatentBlock(channels, heads, bias=True, act=act) for _ in range(num_blocks)
        )

    def forward(self, latents: Tensor) -> Tensor:
        if not len(self):
            return latents
        # The latents are sums in float32 at least, also of a model in half precision.
        z = latents.transpose(1, 2).flatten(2).to(next(self.parameters()).dtype)
        for block in self:
            z = block(z)
        return z.unflatten(2, (latents.shape[1], -1)).transpose(1, 2).to(latents.dtype)
