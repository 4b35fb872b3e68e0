"""Files that a browser sends: their names, types and sizes."""

import re
from collections.abc import Sequence
from pathlib import PurePosixPath

from flare_mesh.io.mesh_formats import READABLE_SUFFIXES, REFERENCING_SUFFIXES

_MOST = 80  # characters of a name


def upload_suffixes(plugin_suffixes: Sequence[str] = ()) -> tuple[str, ...]:
    """Suffixes of files that can be uploaded.

    Files that name others, such as ``.pvd``, are not among them: the others are not sent.

    Args:
        plugin_suffixes: Those of the model's source plug-in.
    """
    alone = [one for one in READABLE_SUFFIXES if one not in REFERENCING_SUFFIXES]
    return tuple(dict.fromkeys([*plugin_suffixes, *alone]))


def shown_name(name: str) -> str:
    """Name of an uploaded file in the page and for downloads, without folders and odd characters.

    The file itself is stored under a name of our own.
    """
    last = PurePosixPath(name.replace("\\", "/")).name
    plain = re.sub(r"[^\w.+()-]+", "_", last).lstrip(".")
    stem, dot, suffix = plain.rpartition(".")
    return f"{stem[: _MOST - len(suffix) - 1]}{dot}{suffix}"[:_MOST] or "file"


def check_upload(name: str, size: int | None, suffixes: Sequence[str], limit: int) -> str:
    """The suffix of a file that is about to be uploaded.

    Args:
        name: Its name in the browser.
        size: Its size in bytes, if the browser says so.
        suffixes: Result of :func:`upload_suffixes`.
        limit: Largest size in bytes.

    Raises:
        ValueError: If its type is not that of a mesh, or it is too large.
    """
    shown = shown_name(name)
    suffix = PurePosixPath(shown).suffix.lower()
    if suffix not in suffixes:
        raise ValueError(
            f"{shown}: expected a mesh or part of a type among {', '.join(suffixes)} (got "
            f"'{suffix}'); convert it"
        )
    if size is not None and size > limit:
        raise ValueError(too_large(shown, limit))
    return suffix


def too_large(name: str, limit: int) -> str:
    """Message about a file that is larger than the limit."""
    return f"{name}: is larger than {limit / 1e6:g} MB; start the viewer with a larger --max-upload"
