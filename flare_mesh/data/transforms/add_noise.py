"""Noise on node fields."""

from collections.abc import Mapping

import torch
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import check_single, node_field


@functional_transform("add_noise")
class AddNoise(BaseTransform):
    """Add independent normal noise with mean 0 to node fields, drawn at each access.

    Noise on the inputs makes a model robust against its own errors in a rollout (MeshGraphNets,
    arXiv 2010.03409).

    Args:
        std: Standard deviation by field, in the field's unit; ``{"pos": 0.01}``.
        relative: Whether the deviations are relative to each channel's standard deviation over
            the nodes of the mesh.
        generator: Random number generator, only without loader workers, which would all draw the
            same numbers; None for torch's global one.

    Raises:
        ValueError: If a deviation is negative or not finite; on access, if a field is missing or
            not real, or the data is a batch with ``relative=True``.
    """

    def __init__(
        self,
        std: Mapping[str, float],
        *,
        relative: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        if not all(0 <= value < float("inf") for value in std.values()):
            raise ValueError(f"AddNoise: expected deviations >= 0 (got {dict(std)})")
        self.std = dict(std)
        self.relative = relative
        self.generator = generator

    def forward(self, data: Data) -> Data:
        if self.relative:
            check_single(data, "AddNoise(relative=True)")
        for field, std in self.std.items():
            values = node_field(data, field, "AddNoise")
            noise = torch.randn(
                values.shape, generator=self.generator, dtype=values.dtype, device=values.device
            )
            scale = values.std(0, correction=0) * std if self.relative else std
            data[field] = values + noise * scale
        return data
