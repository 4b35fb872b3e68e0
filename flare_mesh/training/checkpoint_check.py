"""Differences between a model and a checkpoint that it is to be loaded from."""

from collections.abc import Mapping
from typing import Any

_COMPARED = (
    *("model", "fields", "inputs", "features", "normalizers"),
    *("scale_by", "drop_scales", "rollout"),
)

# Their order is the order of channels.
_ORDERED = ("fields", "inputs")


def describe_differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Differences of two surrogates' headers, a phrase each.

    Args:
        ours: Header of the surrogate here.
        theirs: Header of the surrogate in the checkpoint.

    Returns:
        Phrases such as "model.heads is 8 here, 4 in the checkpoint".
    """
    found = []
    for key in _COMPARED:
        a, b = ours.get(key), theirs.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            values = {f"{key}.{name}": (a.get(name), b.get(name)) for name in {**a, **b}}
            if key in _ORDERED and dict(a) == dict(b):
                values = {f"the order of {key}": ([*a], [*b])}
        else:
            values = {key: (a, b)}
        found += [
            f"{name} is {here!r} here, {there!r} in the checkpoint"
            for name, (here, there) in values.items()
            if _plain(here) != _plain(there)
        ]
    return found


def _plain(value: Any) -> Any:
    """A value as JSON holds it: tuples become lists."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
