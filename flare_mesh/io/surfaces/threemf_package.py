"""Package of a 3MF file: a zip archive of XML parts (Open Packaging Conventions)."""

import posixpath
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from xml.parsers import expat

_RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
_MODEL_TYPE = "http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"
# A part may have this size, or this ratio of its size to that in the archive.
_PLAIN_SIZE = 64 << 20
_MAX_RATIO = 100
_MAX_SIZE = 4 << 30
_ERRORS = (
    *(zipfile.BadZipFile, NotImplementedError, EOFError, zlib.error, struct.error),
    *(RuntimeError, OSError, UnicodeError, KeyError),
)


class Package:
    """Parts of a 3MF file by name; nothing is extracted.

    Raises:
        ValueError: If the file is not a whole zip archive, or two parts have the same name.
    """

    def __init__(self, path: Path) -> None:
        with _damage():
            self._archive = zipfile.ZipFile(path)
            self._parts: dict[str, zipfile.ZipInfo] = {}
            for info in self._archive.infolist():
                name = part_name("/", info.filename)
                if name in self._parts and not info.is_dir():
                    raise ValueError(f"has two parts '{name}'; export it again")
                self._parts[name] = info

    def __enter__(self) -> "Package":
        return self

    def __exit__(self, *_: object) -> None:
        self._archive.close()

    def __contains__(self, name: str) -> bool:
        return name in self._parts

    def root_model(self) -> str:
        """Name of the part that the 3MF file is about.

        Raises:
            ValueError: If there is none, or several.
        """
        targets = []

        def start(tag: str, attributes: dict[str, str]) -> None:
            if tag == f"{_RELATIONSHIPS} Relationship" and attributes.get("Type") == _MODEL_TYPE:
                targets.append(part_name("/", attributes.get("Target", "")))

        if "/_rels/.rels" not in self:
            raise ValueError("expected a 3MF file (its archive has no '_rels/.rels')")
        self.parse("/_rels/.rels", start)
        if len(targets) != 1:
            raise ValueError(f"expected one 3D model in '_rels/.rels' (got {len(targets)})")
        return targets[0]

    def parse(self, name: str, start: Any, namespace: Any = None) -> None:
        """Parse an XML part with expat's handlers of tags and namespaces.

        The name of a tag or attribute is "NAMESPACE NAME".

        Raises:
            ValueError: If there is no such part, or it is too large, damaged, or defines entities.
                The message has the line if a handler raises one.
        """
        info = self._parts.get(name)
        if info is None:
            raise ValueError(f"has no part '{name}', which it refers to; export it again")
        if info.file_size > min(max(_PLAIN_SIZE, _MAX_RATIO * info.compress_size), _MAX_SIZE):
            raise ValueError(
                f"'{info.filename}' declares {info.file_size:,} bytes in {info.compress_size:,} of "
                f"the archive, over the limit of {_MAX_RATIO} times as many; export it again"
            )

        def refuse(*_: Any) -> None:
            raise ValueError("defines XML entities, which 3MF forbids")

        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartElementHandler = start
        parser.StartNamespaceDeclHandler = namespace
        parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = refuse
        with _damage(), self._archive.open(info) as file:
            try:
                parser.ParseFile(file)
            except (expat.ExpatError, LookupError) as error:  # LookupError: of an encoding
                raise ValueError(
                    f"'{info.filename}' is not whole XML ({error}); export it again"
                ) from error
            except ValueError as error:
                line = parser.CurrentLineNumber
                raise ValueError(f"'{info.filename}', line {line}: {error}") from error


def part_name(source: str, target: str) -> str:
    """Name of the part that ``target`` in the part ``source`` refers to; names ignore case."""
    name = posixpath.join(posixpath.dirname(source), unquote(target).replace("\\", "/"))
    return posixpath.normpath("/" + name.lstrip("/")).lower()


@contextmanager
def _damage() -> Iterator[None]:
    try:
        yield
    except _ERRORS as error:
        raise ValueError(f"not a whole zip archive ({error}); export it again") from error
