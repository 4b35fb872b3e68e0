"""Refusal of unknown options, with the nearest known one."""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from flare_mesh.choices import nearest
from flare_mesh.commands.class_paths import check_classes
from flare_mesh.documents import SafeLoader, load_argument, load_yaml, read_yaml_text


def check_config_file(
    path: str | Path, known: Collection[str], *, trusted: bool = False
) -> Mapping[Any, Any]:
    """Refuse unknown and repeated keys of a configuration file, and classes that it cannot name.

    Args:
        path: The YAML file.
        known: Dotted names of all options; any keys are allowed below an option.
        trusted: Accept all classes for options of the trainer.

    Returns:
        The values of the file.

    Raises:
        ValueError: If the file is not YAML, not a mapping, has an unknown or a repeated key, or
            names a class that is not accepted.
    """
    try:
        text = read_yaml_text(path)
        values = load_yaml(text)
    except ValueError as error:
        raise ValueError(f"{path}: not a YAML file: {error}") from error
    if repeated := _repeated(yaml.compose(text, SafeLoader)):
        raise ValueError(f"{path}: {repeated}")
    if not isinstance(values, Mapping):
        raise ValueError(f"{path}: expected a mapping of options (got {type(values).__name__})")
    try:
        unknown = _unknown(values, known, "")
        check_classes(values, trusted=trusted)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if unknown:
        raise ValueError(f"{path}: unknown option '{unknown[0]}'; {_nearest(unknown[0], known)}")
    return values


def check_arguments(args: Sequence[str], known: Collection[str]) -> None:
    """Refuse unknown options of a command line.

    Raises:
        ValueError: At the first.
    """
    for arg in args:
        found = re.match(r"--([A-Za-z_][\w.-]*)", arg)
        if found and not _is_known(found[1], known):
            raise ValueError(f"unknown option '--{found[1]}'; {_nearest(found[1], known)}")
        # The parser would read '-cFILE' as '-c FILE'.
        if re.match("-[A-Za-z]", arg) and arg.partition("=")[0] not in ("-c", "-h"):
            raise ValueError(f"unknown option '{arg}'; options begin with two dashes")


def option_values(args: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names and texts of the options of a command line."""
    for arg, after in zip(args, [*args[1:], ""], strict=False):
        if arg.startswith("-"):
            name, equals, value = arg.lstrip("-").partition("=")
            yield name.removesuffix("+"), value if equals else after


def check_argument_values(args: Sequence[str], *, trusted: bool = False) -> None:
    """Refuse values of a command line that name classes that they cannot, or exceed YAML's limits.

    Raises:
        ValueError: At the first.
    """
    for name, text in option_values(args):
        try:
            value = load_argument(text)
        except ValueError as error:
            raise ValueError(f"'{name}': {error}") from error
        check_classes(value, name, trusted=trusted)


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
