"""Sections of Gmsh's MSH files."""

import re
from dataclasses import dataclass

_START = re.compile(rb"\$(\w+)[ \t\r]*\n")
_BLANK = re.compile(rb"\s*")
_FORMAT = re.compile(rb"\s*([\d.]+)\s+([01])\s+(\d+)[ \t\r]*\n?")
_VERSIONS = {b"2": 2, b"2.0": 2, b"2.1": 2, b"2.2": 2, b"4.1": 4}
_ONCE = ("MeshFormat", "PhysicalNames", "Entities", "PartitionedEntities", "Nodes", "Elements")
# Sections that define nodes or elements in a way that is not read.
_REFUSED = {
    "ParametricNodes": "save it without parametric coordinates (Mesh.SaveParametric = 0)",
    "NOD": "it is in version 1 of the format; save it as MSH 4.1 or 2.2",
    "PostFormat": "it is a post-processing file without a mesh; save it as MSH 4.1 or 2.2",
}


@dataclass(frozen=True)
class MshFile:
    """A MSH file as its sections.

    Attributes:
        version: 2 or 4.
        order: Byte order ``"<"`` or ``">"`` of a binary file; None if it is text.
        data_size: Bytes of a number of the type ``size_t`` in a binary file of version 4.
        sections: Name and content of each section.
    """

    version: int
    order: str | None
    data_size: int
    sections: list[tuple[str, bytes]]

    def section(self, name: str) -> bytes | None:
        """Content of the section of this name; None if there is none."""
        return next((content for found, content in self.sections if found == name), None)


def read_sections(content: bytes) -> MshFile:
    """Split a MSH file into its sections.

    Raises:
        ValueError: If a section does not end, the version is not supported, or the mesh is defined
            in a section that is not read.
    """
    sections, position, last = [], 3 if content.startswith(b"\xef\xbb\xbf") else 0, "its begin"
    while True:
        blank = _BLANK.match(content, position)
        position = blank.end() if blank else position
        if position == len(content):
            break
        start = _START.match(content, position)
        if start is None:
            got = content[position : position + 40].decode(errors="replace")
            raise ValueError(f"expected a section after {last} (got {got!r}); it is cut off")
        name = start[1].decode()
        if name in _REFUSED:
            raise ValueError(f"its section ${name} is not supported: {_REFUSED[name]}")
        end = content.find(b"$End" + start[1], start.end())
        if end < 0:
            raise ValueError(f"its section ${name} has no $End{name}; it is cut off")
        sections.append((name, content[start.end() : end]))
        position, last = end + len(name) + 4, f"$End{name}"
    names = [name for name, _ in sections]
    if names and names[-1] == "InterpolationScheme":
        raise ValueError("its $InterpolationScheme is not followed by a view; it is cut off")
    for name in (name for name in _ONCE if names.count(name) > 1):
        # Gmsh appends a view together with a copy of the mesh.
        if len({content for found, content in sections if found == name}) > 1:
            raise ValueError(f"it has several different sections ${name}; keep one mesh in a file")
    return MshFile(*_header(dict(sections).get("MeshFormat", b"")), sections)


def _header(text: bytes) -> tuple[int, str | None, int]:
    found = _FORMAT.match(text)
    if found is None:
        raise ValueError("expected version, file type and data size in $MeshFormat")
    if found[1] not in _VERSIONS:
        raise ValueError(
            f"version {found[1].decode()[:20]} of Gmsh's format is not supported; open it in Gmsh "
            f"and save it as MSH 4.1 or 2.2"
        )
    if found[2] == b"0":
        return _VERSIONS[found[1]], None, int(found[3])
    one = text[found.end() : found.end() + 4]
    orders = {b"\x01\0\0\0": "<", b"\0\0\0\x01": ">"}
    if one not in orders or found[3] not in (b"4", b"8"):
        raise ValueError("expected the number one in binary, and a data size of 4 or 8")
    return _VERSIONS[found[1]], orders[one], int(found[3])
