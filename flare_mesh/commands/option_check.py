"""Refusal of unknown options, with the nearest known one."""

import re
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from flare_mesh.choices import nearest


def check_config_file(path: str | Path, known: Collection[str]) -> None:
    """Refuse unknown and repeated keys of a configuration file.

    Args:
        path: The YAML file.
        known: Dotted names of all options; any keys are allowed below an option.

    Raises:
        ValueError: If the file is not YAML, not a mapping, or has an unknown or a repeated key.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        repeated = _repeated(yaml.compose(text, yaml.SafeLoader))
        values = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: a wrong date
        raise ValueError(f"{path}: not a YAML file: {' '.join(str(error).split())}") from error
    if repeated:
        raise ValueError(f"{path}: {repeated}")
    if not isinstance(values, Mapping):
        raise ValueError(f"{path}: expected a mapping of options (got {type(values).__name__})")
    try:
        unknown = _unknown(values, known, "")
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if unknown:
        raise ValueError(f"{path}: unknown option '{unknown[0]}'; {_nearest(unknown[0], known)}")


def check_arguments(args: Sequence[str], known: Collection[str]) -> None:
    """Refuse unknown options of a command line.

    Raises:
        ValueError: At the first.
    """
    for arg in args:
        found = re.match(r"--([A-Za-z_][\w.-]*)", arg)
        if found and not _is_known(found[1], known):
            raise ValueError(f"unknown option '--{found[1]}'; {_nearest(found[1], known)}")


def prefixes(name: str) -> list[str]:
    """Groups of an option: ``a`` and ``a.b`` for ``a.b.c``."""
    parts = name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _repeated(node: yaml.Node | None, prefix: str = "") -> str | None:
    """Message about a key that a mapping has twice, where YAML would use the last."""
    if isinstance(node, yaml.SequenceNode):
        return next(filter(None, (_repeated(entry, prefix) for entry in node.value)), None)
    if not isinstance(node, yaml.MappingNode):
        return None
    lines: dict[str, int] = {}
    for key, value in node.value:
        name, line = f"{prefix}{key.value}", key.start_mark.line + 1
        if name in lines:
            return f"'{name}' is in line {lines[name]} and in line {line}; leave out one"
        lines[name] = line
        if found := _repeated(value, f"{name}."):
            return found
    return None


def _nearest(name: str, known: Collection[str]) -> str:
    return nearest(name, {*known, *(group for option in known for group in prefixes(option))})


def _is_known(name: str, known: Collection[str]) -> bool:
    return any(option in known for option in (name, *prefixes(name))) or any(
        option.startswith(f"{name}.") for option in known
    )


def _unknown(values: Mapping[Any, Any], known: Collection[str], prefix: str) -> list[str]:
    found = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if name in known:
            continue
        if not any(option.startswith(f"{name}.") for option in known):
            found.append(name)
        elif isinstance(value, Mapping):
            found += _unknown(value, known, f"{name}.")
        elif value is not None:
            raise ValueError(f"'{name}': expected options below it (got {value!r})")
    return found
