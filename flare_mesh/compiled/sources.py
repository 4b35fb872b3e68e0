"""Checksum of the sources of compiled code."""

import ast
import hashlib
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path


def source_checksum(file: str, packages: Iterable[str]) -> str:
    """Checksum of a source file and of the modules that it imports, directly and through others.

    Args:
        file: The file.
        packages: Top-level packages whose modules count. Their imports must be at the beginning of
            a file.
    """
    found, waiting = set[str](), [file]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += _imported_files(one, frozenset(packages))
    checksum = hashlib.sha256()
    for one in sorted(found):
        checksum.update(_content(one))
    return checksum.hexdigest()


@cache
def _content(file: str) -> bytes:
    return Path(file).read_bytes()


@cache
def _imported_files(file: str, packages: frozenset[str]) -> tuple[str, ...]:
    names: list[str] = []
    for statement in ast.parse(_content(file)).body:
        if isinstance(statement, ast.Import):
            names += [one.name for one in statement.names]
        elif isinstance(statement, ast.ImportFrom) and statement.module is not None:
            module = statement.module
            names += [module, *(f"{module}.{one.name}" for one in statement.names)]
    modules = [sys.modules.get(name) for name in names if name.partition(".")[0] in packages]
    files = [getattr(module, "__file__", None) for module in modules]
    return tuple(one for one in files if one is not None)
