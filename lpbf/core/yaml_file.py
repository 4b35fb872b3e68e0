"""YAML files of parameters, with plain values and YAML 1.2 numbers only."""

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from flare_mesh.files import existing_file, write_text


def read_yaml(path: str | Path) -> Any:
    """Read plain values from a YAML file.

    Numbers follow YAML 1.2: ``1e-3`` is a number, ``1:30`` a string, and ``010`` ten.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not YAML, repeats a key, or holds objects other than plain values.
    """
    path = existing_file(path)
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(
            f"{path}: expected YAML of plain values ({where}{error.problem}); correct it"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected YAML text ({error}); correct it") from error


def write_yaml(path: str | Path, values: Any) -> None:
    """Write plain values to a file, whole or not at all."""
    style: dict[str, Any] = {"sort_keys": False, "default_flow_style": None}
    write_text(path, yaml.dump(values, Dumper=_Dumper, allow_unicode=True, **style))


class _Loader(yaml.SafeLoader):
    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for i, key in enumerate(keys):
            if key in keys[:i]:
                mark = node.value[i][0].start_mark
                problem = f"the key '{key}' is repeated"
                raise yaml.constructor.ConstructorError(problem=problem, problem_mark=mark)
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
