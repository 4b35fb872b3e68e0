"""Data classes from dictionaries, as JSON and YAML hold them."""

from collections.abc import Callable, Mapping
from dataclasses import MISSING, fields
from typing import Any, TypeVar

from flare_mesh.choices import check_choice

T = TypeVar("T")


def from_dict(
    cls: Callable[..., T], values: Any, readers: Mapping[str, Callable[[Any], Any]] | None = None
) -> T:
    """Make a data class from a dictionary; missing fields take their defaults.

    Args:
        cls: The data class.
        values: Its fields by name.
        readers: Functions by field that convert the dictionary's value, unless it is None.

    Raises:
        ValueError: If it is not a dictionary, has an unknown key, lacks a field without default,
            or a value does not fit.
    """
    readers = readers or {}
    name = cls.__name__
    if not isinstance(values, Mapping):
        raise ValueError(f"{name}: expected its fields by name (got {values!r})")
    known = {field.name: field for field in fields(cls)}  # pyright: ignore[reportArgumentType]
    for key in values:
        check_choice(f"{name}: unknown field", key, list(known))
    for key, field in known.items():
        if key not in values and field.default is MISSING and field.default_factory is MISSING:
            raise ValueError(f"{name}: expected a {key} (got none)")
    given = {k: readers[k](v) if v is not None and k in readers else v for k, v in values.items()}
    return cls(**given)
