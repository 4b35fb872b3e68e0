"""Classes outside this package, named by their import path in configurations and files."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import TypeVar

from flare_mesh.choices import clip, nearest

_T = TypeVar("_T")
_NAME = r"[^\W\d]\w*(\.[^\W\d]\w*)*"
_trusted = ContextVar("trusted", default=False)


def is_class_path(name: object) -> bool:
    """Whether a name is the path ``package.module:Class`` of a class, not a name of this package's.

    No name of this package has a colon.
    """
    return isinstance(name, str) and ":" in name


def class_path(found: type) -> str:
    """The path ``package.module:Class`` of a class."""
    return f"{found.__module__}:{found.__qualname__}"


def is_code_trusted() -> bool:
    """Whether this is within :func:`trusting_code`."""
    return _trusted.get()


@contextmanager
def trusting_code(trusted: bool = True) -> Iterator[None]:
    """Within the block, configurations and files may name classes of any package.

    Args:
        trusted: False leaves it as it is around the block.
    """
    token = _trusted.set(trusted or _trusted.get())
    try:
        yield
    finally:
        _trusted.reset(token)


def import_class(path: str, base: type[_T]) -> type[_T]:
    """Import a class by its path, which runs the code of its module.

    This is the only place that imports what a configuration or a file names.

    Args:
        path: ``package.module:Class``.
        base: Class that it must be a subclass of.

    Raises:
        ValueError: Outside :func:`trusting_code`, before anything is imported; if the class cannot
            be imported; or if it is not a subclass of ``base``.
    """
    shown = clip(path, 100)
    if not re.fullmatch(f"{_NAME}:{_NAME}", path):
        raise ValueError(f"expected a class as package.module:Class (got '{shown}')")
    if not is_code_trusted():
        raise ValueError(
            f"'{shown}' is code outside flare-mesh, which would be run; if you trust it, add "
            f"--trust-code (in Python: trust_code=True, or trusting_code())"
        )
    module, _, name = path.partition(":")
    try:
        found = package = import_module(module)
    except Exception as error:  # the code of a module may raise anything
        raise ValueError(
            f"'{shown}': cannot import '{clip(module, 100)}' ({type(error).__name__}: "
            f"{clip(error, 200)}); install its package, or run in the folder that has it"
        ) from error
    for part in name.split("."):
        found = getattr(found, part, None)  # pyright: ignore[reportAssignmentType]
    if found is None:
        known = [key for key, value in vars(package).items() if _is_subclass(value, base)]
        advice = nearest(name, known) if known else f"it has no {base.__name__} either"
        raise ValueError(f"'{shown}': no such class in '{clip(module, 100)}'; {advice}")
    if not _is_subclass(found, base):
        raise ValueError(
            f"'{shown}': expected a subclass of {base.__module__}.{base.__qualname__} (got "
            f"{clip(repr(found), 100)}); name another class"
        )
    return found  # pyright: ignore[reportReturnType]


def _is_subclass(found: object, base: type) -> bool:
    return isinstance(found, type) and issubclass(found, base)
