"""Configuration files by path or by name, with a line that says which file a name stands for."""

import sys
from collections.abc import Iterable
from pathlib import Path

from flare_mesh.configs import find_config


def chosen_config(name: str, others: Iterable[str] = ()) -> Path:
    """Path of a configuration; prints it if ``name`` is not the path itself.

    Args:
        name: Path of the file, or name of a configuration that comes with the package.
        others: Further names for the advice in the error.

    Raises:
        FileNotFoundError: If there is neither.
    """
    path = find_config(name, others)
    if path != Path(name):
        here = [file for file in (name, f"{name}.yaml", f"{name}.yml") if Path(file).exists()]
        instead = f", not ./{here[0]}, which has the same name" if here else ""
        print(f"configuration '{name}': {path}{instead}", file=sys.stderr)
    return path
