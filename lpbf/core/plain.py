"""The simulator's data classes as plain dictionaries, for JSON and YAML."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar

import numpy as np

from lpbf.core.checks import check_choice

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Data classes as dictionaries of all their fields, tuples as lists, NumPy's numbers as own."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, (tuple, list)):
        return [to_plain(item) for item in value]
    return value.item() if isinstance(value, np.generic) else value


def from_plain(
    cls: Callable[..., T], values: Any, readers: Mapping[str, Callable[[Any], Any]] | None = None
) -> T:
    """The data class of a dictionary; fields that are not in it take their defaults.

    Args:
        cls: The data class.
        values: Its fields by name.
        readers: For fields that are not plain: what makes them of the plain value.

    Raises:
        ValueError: If it is no dictionary, has an unknown key, lacks a field that has no default,
            or a value does not fit.
    """
    readers = readers or {}
    name = cls.__name__
    if not isinstance(values, Mapping):
        raise ValueError(f"{name}: expected its fields by name (got {values!r})")
    known = {field.name: field for field in fields(cls)}  # pyright: ignore[reportArgumentType]
    for key in values:
        check_choice(f"field of {name}", key, known)
    for key, field in known.items():
        if key not in values and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{name}: expected a {key} (got none)")
    return cls(**{key: readers[key](v) if key in readers else v for key, v in values.items()})
