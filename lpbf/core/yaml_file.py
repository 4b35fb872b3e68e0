"""YAML files of parameters: plain values only, and none that means something unexpected."""

import re
from collections.abc import Hashable
from functools import cache
from pathlib import Path
from typing import Any

from flare_mesh.files import atomic_path


def read_yaml(path: str | Path) -> Any:
    """Reads plain values from a YAML file.

    Numbers are YAML 1.2's: ``1e-3`` is one (YAML 1.1 reads a string), ``1:30`` is a string and
    ``010`` is ten.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not YAML, has a key twice, or asks for other than plain values.
    """
    import yaml

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        return yaml.load(path.read_text(encoding="utf-8"), _loader())
    except yaml.MarkedYAMLError as error:
        where = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(
            f"{path}: expected YAML of plain values ({where}{error.problem}); mend the file"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: expected YAML text ({error}); mend the file") from error


def write_yaml(path: str | Path, values: Any) -> None:
    """Writes plain values; the file appears whole or not at all."""
    import yaml

    text = yaml.dump(
        values, Dumper=_dumper(), sort_keys=False, default_flow_style=None, allow_unicode=True
    )
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


@cache
def _loader() -> Any:
    import yaml

    class Loader(yaml.SafeLoader):
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
            keys = [self.construct_object(key, deep=True) for key, _ in node.value]
            for i, key in enumerate(keys):
                if key in keys[:i]:
                    mark = node.value[i][0].start_mark
                    raise yaml.constructor.ConstructorError(
                        problem=f"the key '{key}' stands there twice", problem_mark=mark
                    )
            return super().construct_mapping(node, deep)

    return _with_numbers(Loader)


@cache
def _dumper() -> Any:
    import yaml

    class Dumper(yaml.SafeDumper):
        pass

    return _with_numbers(Dumper)  # quotes the strings that the loader would take for numbers


def _with_numbers(cls: Any) -> Any:
    """The class with YAML 1.2's integers and floats, and no dates, in place of YAML 1.1's."""
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
    return cls
