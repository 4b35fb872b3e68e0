"""The mixing layer of Transolver on regular grids."""

from collections.abc import Sequence

from torch import Tensor

from flare_mesh.nn.grid_convolution import GridConvolution
from flare_mesh.nn.mixers.physics_attention import PhysicsAttention
from flare_mesh.nn.slices import TEMPERATURES


class GridPhysicsAttention(PhysicsAttention):
    """Physics-Attention for structured meshes (Transolver, arXiv 2402.02366).

    Convolutions over neighbouring nodes of the grid take the place of both projections of the
    nodes, and the temperatures are limited to 0.1 to 5, as in the authors' code.

    Args:
        channels, heads, num_slices: As in :class:`PhysicsAttention`.
        grid_shape: Nodes along each of 1 to 3 axes.

    Shapes:
        x [B * prod(grid_shape), C], grid after grid in row-major order; output of the same shape.
    """

    def __init__(
        self, channels: int, heads: int, num_slices: int, grid_shape: Sequence[int]
    ) -> None:
        super().__init__(channels, heads, num_slices)
        self.project = GridConvolution(channels, grid_shape)
        self.project_value = GridConvolution(channels, grid_shape)

    def temperatures(self, projected: Tensor) -> Tensor:
        return self.temperature.clamp(*TEMPERATURES)
