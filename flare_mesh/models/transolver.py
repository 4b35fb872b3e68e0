"""Transolver, one of the surrogates that FLARE is compared with."""

from flare_mesh.models.slice_model import SliceModel
from flare_mesh.nn.physics_attention import PhysicsAttention


class Transolver(SliceModel):
    r"""Transformer whose attention is among learned slices of the domain (arXiv 2402.02366).

    The form for irregular meshes, without convolution; see
    :class:`~flare_mesh.nn.physics_attention.PhysicsAttention` for the equations. It costs
    O(N G C), and keeps N H G numbers of each layer for the backward.

    As in the authors' code, features are concatenated to the coordinates, a learned vector is
    added to every node's code, and all linear layers are drawn from the same distribution (the
    code draws the slices' projection orthogonal first, and again after that). There is none of
    its grids of reference points, whose range is that of one data set. Batches are ragged,
    and nodes may be weighted.

    Args:
        in_channels: Features of each node beside its coordinates; 0 for none.
        out_channels: Field components to predict at each node.
        hidden_channels: Channels C of the layers.
        num_layers: Number of blocks.
        heads: Attention heads; divides ``hidden_channels``.
        num_slices: Slices G of each head.
        mlp_ratio: Width of the blocks' hidden layers over C.
        pos_dim: Dimension of the coordinates.
        checkpointing: Computes each block again in the backward instead of keeping its
            activations: less memory for about a third more time.

    Shapes:
        x [N, in_channels] or None; pos [N, pos_dim]; batch [N] or ptr [B + 1]; weight [N];
        output [N, out_channels]. A PyG ``Data`` or ``Batch`` may take the place of x.

    Raises:
        ValueError: If a size does not fit.
    """

    NAME = "transolver"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 128,
        num_layers: int = 8,
        heads: int = 8,
        num_slices: int = 64,
        mlp_ratio: float = 1.0,
        pos_dim: int = 3,
        checkpointing: bool = False,
    ) -> None:
        super().__init__(
            lambda: PhysicsAttention(hidden_channels, heads, num_slices),
            in_channels=in_channels,
            out_channels=out_channels,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            heads=heads,
            num_slices=num_slices,
            mlp_ratio=mlp_ratio,
            pos_dim=pos_dim,
            checkpointing=checkpointing,
        )
