"""Transolver, a baseline of FLARE."""

from collections.abc import Sequence

from flare_mesh.models.slice_model import SliceModel
from flare_mesh.nn.grid import check_grid_shape
from flare_mesh.nn.grid_physics_attention import GridPhysicsAttention
from flare_mesh.nn.mixers.physics_attention import PhysicsAttention


class Transolver(SliceModel):
    r"""Transformer with attention among learned slices of the domain (arXiv 2402.02366).

    See :class:`~flare_mesh.nn.mixers.physics_attention.PhysicsAttention` for the equations. It
    costs O(N G C), and stores N H G numbers of each layer for the backward. The default is the form
    for irregular meshes. With ``grid_shape`` it is the form for structured meshes, with
    convolutions (:class:`~flare_mesh.nn.grid_physics_attention.GridPhysicsAttention`), whose result
    depends on the order of the nodes.

    As in the authors' code, features are concatenated to the coordinates, a learned vector is
    added to the embedding of every node, and all linear layers have the same initial distribution
    (the code first makes the slices' projection orthogonal, and then overwrites it). Departures:
    reference points on grids only, as their range on other meshes fits one data set only; the
    learned vector also with features on grids; ragged batches; weights of the nodes.

    Sizes and options without an entry are as in :class:`~flare_mesh.FLAREOperator`.

    Args:
        num_slices: Slices G of each head.
        mlp_ratio: Width of the blocks' hidden layers over C.
        grid_shape: Nodes along each axis of a regular grid, such as ``[85, 85]``; all graphs must
            have its nodes in row-major order. None for any mesh or point cloud.
        reference_points: Reference points along each axis of the unit cube, which the grid fills;
            the distances to them take the place of the coordinates (unified positions, 8 in the
            paper). None for the coordinates.
        time_channel: Channel of x that is the time of a case, embedded by
            :class:`~flare_mesh.nn.time_embedding.TimeEmbedding` as in the paper's Plasticity. None
            where x has no time.

    Shapes:
        As :meth:`FieldModel.forward`. ``weight`` weighs the nodes in the averages of the slices;
        only its ratios within a graph matter.

    Raises:
        ValueError: If a size does not fit, or a graph is no grid of ``grid_shape``.
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
        grid_shape: Sequence[int] | None = None,
        reference_points: int | None = None,
        time_channel: int | None = None,
        pos_dim: int = 3,
        checkpointing: bool = False,
    ) -> None:
        grid_shape = check_grid_shape(self, grid_shape)
        options = locals()

        def attention() -> PhysicsAttention:
            if grid_shape is None:
                return PhysicsAttention(hidden_channels, heads, num_slices)
            return GridPhysicsAttention(hidden_channels, heads, num_slices, grid_shape)

        super().__init__(attention, options)
