"""The mixing layer of Transolver."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.mixers.slice_attention import SliceAttention


class PhysicsAttention(SliceAttention):
    """Physics-Attention for irregular meshes (Transolver, arXiv 2402.02366).

    The values are a second projection. Each head has one learned temperature, initially 0.5 and
    unbounded, as in the authors' code for irregular meshes (for grids they clamp it).
    """

    def __init__(self, channels: int, heads: int = 8, num_slices: int = 64) -> None:
        super().__init__(channels, heads, num_slices)
        self.project_value: nn.Module = nn.Linear(channels, channels)
        self.temperature = nn.Parameter(torch.empty(heads, 1, 1))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the temperatures; the model draws the linear layers."""
        nn.init.constant_(self.temperature, 0.5)

    def node_values(self, x: Tensor, projected: Tensor) -> Tensor:
        return self.project_value(x)

    def temperatures(self, projected: Tensor) -> Tensor:
        return self.temperature
