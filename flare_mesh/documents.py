"""YAML and JSON text of plain values, within limits.

A text of a few lines can stand for values that fill the memory (aliases of aliases), or nest
deeper than Python's stack. The limits are checked on YAML's events, before any value is built.
"""

import json
from pathlib import Path
from typing import Any

import yaml

from flare_mesh.files import existing_file

MAX_YAML_BYTES = 4 * 2**20
"""Largest size of a YAML file."""
MAX_DEPTH = 100
"""Largest number of lists and mappings within each other."""
MAX_VALUES = 1_000_000
"""Largest number of values, each alias counted as all that it stands for."""

SafeLoader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""PyYAML's loader of plain values, compiled where that is installed."""


def read_yaml_text(path: str | Path) -> str:
    """Text of a YAML file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it has more than :data:`MAX_YAML_BYTES`, or is not text in UTF-8.
    """
    path = existing_file(path)
    size = path.stat().st_size
    if size > MAX_YAML_BYTES:
        raise ValueError(f"its {size:,} bytes are more than {MAX_YAML_BYTES:,}")
    return path.read_text(encoding="utf-8")


def load_yaml(text: str, loader: Any = SafeLoader) -> Any:
    """Plain values of a YAML text.

    Args:
        text: The text.
        loader: A loader derived from :data:`SafeLoader`.

    Raises:
        ValueError: If the text is not YAML, has a tag of Python, or exceeds a limit.
    """
    try:
        return _load(text, loader)
    except yaml.YAMLError as error:
        raise ValueError(_reason(error)) from error


def load_argument(text: str) -> Any:
    """Plain values of an argument: of its text as YAML, or the text itself if it is not YAML.

    Raises:
        ValueError: If the text exceeds a limit.
    """
    try:
        return _load(text, SafeLoader)
    except yaml.YAMLError:
        return text


def _load(text: str, loader: Any) -> Any:
    try:
        _check_limits(text)
    except yaml.YAMLError as error:
        if "nesting depth" not in str(error):  # libyaml's own limit, which it checks ahead
            raise
        raise ValueError(f"more than {MAX_DEPTH} lists and mappings within each other") from error
    try:
        return yaml.load(text, loader)
    except (LookupError, AttributeError, TypeError) as error:  # such as of '!!int -'
        raise ValueError("a value is not of the type that its tag ('!!') says") from error


def _check_limits(text: str) -> None:
    sizes: dict[str, int] = {}  # number of values of each anchor
    open_values: list[tuple[str | None, int]] = []  # anchors, and number of values before them
    total = 0
    for event in yaml.parse(text, SafeLoader):
        line = event.start_mark.line + 1
        if isinstance(event, yaml.CollectionStartEvent):
            if len(open_values) == MAX_DEPTH:
                raise ValueError(
                    f"line {line}: more than {MAX_DEPTH} lists and mappings within each other"
                )
            open_values.append((event.anchor, total))
            total += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_values.pop()
            if anchor is not None:
                sizes[anchor] = total - before
        elif isinstance(event, yaml.AliasEvent):
            if any(anchor == event.anchor for anchor, _ in open_values):
                raise ValueError(f"line {line}: '*{event.anchor}' stands within itself")
            total += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor is not None:
                sizes[event.anchor] = 1
        if total > MAX_VALUES:
            raise ValueError(f"line {line}: more than {MAX_VALUES:,} values, aliases included")


def load_json(text: str | bytes) -> Any:
    """Values of a JSON text.

    Raises:
        ValueError: If the text is not JSON, or nests deeper than Python's stack.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("its lists and objects are nested too deeply") from error


def _reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or error
    return " ".join(f"{'' if mark is None else f'line {mark.line + 1}: '}{problem}".split())
