"""What a model needs to know of the data, and the data of a model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from flare_mesh.data.transforms.resolver import TransformSpec


@dataclass(frozen=True)
class DataDescription:
    """Names, channels and dimensions of the cases of a data set.

    Attributes:
        name: Name of the data set.
        pos_dim: Dimension of the coordinates.
        in_channels: Channels of x, 0 for none.
        inputs: Channels of each field in x; empty if ``features`` make x.
        fields: Channels of each field in y.
        units: Unit of each field.
        window: Steps in x and in y of a time series, or None.
        grid_shape: Nodes along each axis of a structured grid, or None.
        features: Transforms that make the model's input.
        info: What else is known of the data, for the surrogate.
    """

    name: str
    pos_dim: int
    in_channels: int
    inputs: Mapping[str, int]
    fields: Mapping[str, int]
    units: Mapping[str, str] = field(default_factory=dict)
    window: tuple[int, int] | None = None
    grid_shape: tuple[int, ...] | None = None
    features: Sequence[TransformSpec] = ()
    info: Mapping[str, Any] = field(default_factory=dict)
