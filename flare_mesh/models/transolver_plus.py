"""Transolver++, one of the surrogates that FLARE is compared with."""

from flare_mesh.models.slice_model import SliceModel
from flare_mesh.nn.eidetic_attention import EideticAttention


class TransolverPlus(SliceModel):
    r"""Transolver with sharper slices: a temperature for each node, and noise (arXiv 2502.02414).

    See :class:`~flare_mesh.nn.eidetic_attention.EideticAttention` for the equations, which are
    those of the authors' code: there the local temperature is a network of two layers, in the
    paper one Linear. Cost and remaining parts as :class:`~flare_mesh.models.Transolver`.

    It departs from the authors' code in this: the code draws noise in evaluation too, so that the
    same mesh gives another field each time; that is ``gumbel="always"``. It has a linear layer for
    three global conditions, 4 C parameters more, which the benchmarks of FLARE count but never
    call; here such conditions are features of the nodes. And checkpointing is an option.

    Args:
        in_channels: Features of each node beside its coordinates; 0 for none.
        out_channels: Field components to predict at each node.
        hidden_channels: Channels C of the layers.
        num_layers: Number of blocks.
        heads: Attention heads; divides ``hidden_channels``.
        num_slices: Slices of each head.
        gumbel: When slices are drawn with noise: ``"train"`` (in training mode), ``"always"`` or
            ``"never"``. With noise, a graph's result is random.
        mlp_ratio: Width of the blocks' hidden layers over C.
        pos_dim: Dimension of the coordinates.
        checkpointing: Computes each block again in the backward instead of keeping its
            activations: less memory for about a third more time.

    Shapes:
        x [N, in_channels] or None; pos [N, pos_dim]; batch [N] or ptr [B + 1]; weight [N];
        output [N, out_channels]. A PyG ``Data`` or ``Batch`` may take the place of x.

    Raises:
        ValueError: If an option is unknown or a size does not fit.
    """

    NAME = "transolver++"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 128,
        num_layers: int = 8,
        heads: int = 8,
        num_slices: int = 64,
        gumbel: str = "train",
        mlp_ratio: float = 1.0,
        pos_dim: int = 3,
        checkpointing: bool = False,
    ) -> None:
        super().__init__(
            lambda: EideticAttention(hidden_channels, heads, num_slices, gumbel=gumbel),
            in_channels=in_channels,
            out_channels=out_channels,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            heads=heads,
            num_slices=num_slices,
            gumbel=gumbel,
            mlp_ratio=mlp_ratio,
            pos_dim=pos_dim,
            checkpointing=checkpointing,
        )
