"""Transforms by name, for configurations and saved surrogates."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch_geometric.transforms import BaseTransform, Compose

from flare_mesh.choices import nearest
from flare_mesh.data import transforms

TransformSpec = str | Mapping[str, Mapping[str, Any]]
"""A transform's name, or a mapping of its name to its options."""


def transform_names() -> dict[str, type[BaseTransform]]:
    """The transforms by name: ``random_nodes`` for ``RandomNodes``."""
    names = {}
    for name in transforms.__all__:
        found = getattr(transforms, name)
        if isinstance(found, type) and issubclass(found, BaseTransform):
            names[_snake(name)] = found
    return names


def build_transform(spec: TransformSpec) -> BaseTransform:
    """One transform of :mod:`flare_mesh.data.transforms` by its name.

    Args:
        spec: ``"build_features"``, or ``{"random_nodes": {"num_nodes": 256}}``.

    Raises:
        ValueError: If there is no such transform or option; names the nearest.
    """
    if isinstance(spec, str):
        name, options = spec, {}
    elif isinstance(spec, Mapping) and len(spec) == 1:
        name, options = next(iter(spec.items()))
        options = {} if options is None else options
    else:
        raise ValueError(f"expected a transform's name, or name: {{options}} (got {spec!r})")
    known = transform_names()
    if name not in known:
        raise ValueError(f"unknown transform '{name}'; {nearest(name, known)}")
    if not isinstance(options, Mapping):
        raise ValueError(
            f"the transform '{name}': expected a mapping of its options (got {options!r})"
        )
    parameters = inspect.signature(known[name]).parameters
    for option in options:
        if option not in parameters:
            raise ValueError(
                f"the transform '{name}' has no option '{option}'; {nearest(option, parameters)}"
            )
    try:
        return known[name](**options)
    except TypeError as error:
        raise ValueError(f"the transform '{name}' with {dict(options)}: {error}") from error


def build_transforms(specs: Sequence[TransformSpec]) -> Callable[[Any], Any] | None:
    """Several transforms, one after another; None for none.

    Raises:
        ValueError: As :func:`build_transform`.
    """
    if isinstance(specs, str | Mapping):
        raise ValueError(f"expected a list of transforms (got {specs!r})")
    built = [build_transform(spec) for spec in specs]
    return Compose(built) if built else None


def _snake(name: str) -> str:
    """``KNNEdges`` to ``knn_edges``, as functional transforms are named."""
    out = ""
    for before, letter, after in zip(" " + name, name, name[1:] + " ", strict=False):
        starts = letter.isupper() and (before.islower() or after.islower())
        out += ("_" if starts and out else "") + letter.lower()
    return out
