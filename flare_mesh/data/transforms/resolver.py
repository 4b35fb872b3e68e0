"""Builds transforms by name, for configurations and saved surrogates."""

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch_geometric.transforms import BaseTransform, Compose

from flare_mesh.choices import check_choice, check_options
from flare_mesh.data import transforms
from flare_mesh.data.transforms.channels import AppendingTransform, Channel

TransformSpec = str | Mapping[str, Mapping[str, Any]]
"""A transform's name, or a mapping of its name to its options."""


def transform_names() -> dict[str, type[BaseTransform]]:
    """Classes of the transforms by name: ``random_nodes`` for ``RandomNodes``."""
    snake = re.compile("(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
    return {snake.sub("_", name).lower(): getattr(transforms, name) for name in transforms.__all__}


def build_transform(spec: TransformSpec) -> BaseTransform:
    """Build a transform of :mod:`flare_mesh.data.transforms` by its name.

    Args:
        spec: ``"build_features"``, or ``{"random_nodes": {"num_nodes": 256}}``.

    Raises:
        ValueError: If the name or an option is unknown; names the nearest.
    """
    if isinstance(spec, str):
        name, options = spec, {}
    elif isinstance(spec, Mapping) and len(spec) == 1:
        name, options = next(iter(spec.items()))
        options = {} if options is None else options
    else:
        raise ValueError(f"expected a transform's name, or name: {{options}} (got {spec!r})")
    known = transform_names()
    check_choice("unknown transform", name, known)
    if not isinstance(options, Mapping):
        raise ValueError(
            f"the transform '{name}': expected a mapping of its options (got {options!r})"
        )
    check_options(f"the transform '{name}'", options, inspect.signature(known[name]).parameters)
    try:
        return known[name](**options)
    except TypeError as error:
        raise ValueError(f"the transform '{name}' with {dict(options)}: {error}") from error


def build_transforms(specs: Sequence[TransformSpec]) -> Callable[[Any], Any] | None:
    """Compose several transforms; None for an empty list.

    Raises:
        ValueError: As :func:`build_transform`.
    """
    if isinstance(specs, str | Mapping):
        raise ValueError(f"expected a list of transforms (got {specs!r})")
    built = [build_transform(spec) for spec in specs]
    return Compose(built) if built else None


def appended_channels(specs: Sequence[TransformSpec], pos_dim: int) -> list[Channel]:
    """The channels that transforms append to x, in order; none if they append nothing.

    Args:
        specs: As in :func:`build_transforms`.
        pos_dim: Dimension of the coordinates.

    Raises:
        ValueError: As :func:`build_transform`.
    """
    built = map(build_transform, specs)
    appending = [transform for transform in built if isinstance(transform, AppendingTransform)]
    return [channel for transform in appending for channel in transform.channels(pos_dim)]
