"""Transolver, a baseline of FLARE."""

from flare_mesh.models.slice_model import SliceModel
from flare_mesh.nn.physics_attention import PhysicsAttention


class Transolver(SliceModel):
    r"""Transformer with attention among learned slices of the domain (arXiv 2402.02366).

    The form for irregular meshes, without convolution; see
    :class:`~flare_mesh.nn.physics_attention.PhysicsAttention` for the equations. It costs
    O(N G C), and stores N H G numbers of each layer for the backward.

    As in the authors' code, features are concatenated to the coordinates, a learned vector is
    added to the embedding of every node, and all linear layers have the same initial distribution
    (the code first makes the slices' projection orthogonal, and then overwrites it). Departures:
    no grid of reference points, whose range fits one data set only; ragged batches; weights of
    the nodes.

    Sizes and options without an entry are as in :class:`~flare_mesh.FLAREOperator`.

    Args:
        num_slices: Slices G of each head.
        mlp_ratio: Width of the blocks' hidden layers over C.

    Shapes:
        As :meth:`FieldModel.forward`. ``weight`` weighs the nodes in the averages of the slices;
        only its ratios within a graph matter.

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
        super().__init__(lambda: PhysicsAttention(hidden_channels, heads, num_slices), locals())
