"""Whether a checkpoint belongs to the model that is to go on from it."""

from collections.abc import Mapping
from typing import Any

_COMPARED = ("model", "fields", "inputs", "features", "normalizers", "rollout")

# Their channels stand side by side.
_ORDERED = ("fields", "inputs")


def describe_differences(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> list[str]:
    """Where the headers of two surrogates differ, one phrase each: ``model.heads: 8, there 4``."""
    found = []
    for key in _COMPARED:
        a, b = ours.get(key), theirs.get(key)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            names = [
                name
                for name in dict.fromkeys([*a, *b])
                if _plain(a.get(name)) != _plain(b.get(name))
            ]
            found += [f"{key}.{name}: {a.get(name)!r}, there {b.get(name)!r}" for name in names]
            if not names and key in _ORDERED and [*a] != [*b]:
                found.append(f"{key}: in the order {[*a]}, there {[*b]}")
        elif _plain(a) != _plain(b):
            found.append(f"{key}: {a!r}, there {b!r}")
    return found


def _plain(value: Any) -> Any:
    """Values as JSON has them: tuples are lists."""
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
