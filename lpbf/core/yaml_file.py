"""YAML files of parameters, with plain values and YAML 1.2 numbers only."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from flare_mesh.documents import SafeLoader, load_yaml, read_yaml_text
from flare_mesh.files import write_text


def read_yaml(path: str | Path) -> Any:
    """Read plain values from a YAML file.

    Numbers follow YAML 1.2: ``1e-3`` is a number, ``1:30`` a string, and ``010`` ten.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not YAML, repeats a key, or holds objects other than plain values.
    """
    try:
        return load_yaml(read_yaml_text(path), _Loader)
    except ValueError as error:
        raise ValueError(f"{path}: expected YAML of plain values ({error}); correct it") from error


def write_yaml(path: str | Path, values: Any) -> None:
    """Write plain values to a file, whole or not at all."""
    style: dict[str, Any] = {"sort_keys": False, "default_flow_style": None}
    write_text(path, yaml.dump(values, Dumper=_Dumper, allow_unicode=True, **style))


class _Loader(SafeLoader):
    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        found = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, Hashable):
                break  # refused by the base class
            if key in found:
                raise yaml.constructor.ConstructorError(
                    problem=f"the key '{key}' is repeated", problem_mark=key_node.start_mark
                )
            found.add(key)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):  # quotes strings that the loader would read as numbers
    pass


def _set_numbers(cls: Any) -> None:
    """Replace YAML 1.1's integers, floats and dates by YAML 1.2's integers and floats."""
    integer, floating, date = (
        f"tag:yaml.org,2002:{kind}" for kind in ("int", "float", "timestamp")
    )
    cls.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if tag not in (integer, floating, date)]
        for first, found in cls.yaml_implicit_resolvers.items()
    }
    first = list("-+.0123456789")
    cls.add_implicit_resolver(integer, re.compile(r"^[-+]?(0|[1-9][0-9]*)$"), first)
    number = (
        r"^([-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?"
        r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN))$"
    )
    cls.add_implicit_resolver(floating, re.compile(number), first)


_set_numbers(_Loader)
_set_numbers(_Dumper)
