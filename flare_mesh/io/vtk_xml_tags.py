"""Tags of VTK's XML files, which an XML parser cannot read: raw bytes may follow them."""

import mmap
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

# Possessive, and no part matches a "<": so the search takes linear time on any file.
_TAG = re.compile(
    rb"""<(?:(!--)|(/?)(\w{1,64}+)((?:[^<>"']++|"[^"<]{0,4096}+"|'[^'<]{0,4096}+'){0,256}+)>)"""
)
_ATTRIBUTE = re.compile(rb"""(?<!\w)(\w++)\s*+=\s*+(?:"([^"]*)"|'([^']*)')""")
_BEGIN = re.compile(rb"<[\w/]")
_MAX_TAGS = 10_000
_END = b"</VTKFile>"

TAIL_BYTES = 1 << 16
"""Bytes of a file that are searched for its last tag."""


@dataclass
class Tag:
    """A tag, with its attributes and its byte offsets in the file."""

    name: str
    attributes: dict[str, str]
    is_closing: bool
    is_empty: bool
    start: int
    end: int


def read_tags(mapped: mmap.mmap) -> Iterator[Tag]:
    """Read the tags of a file in order, without comments.

    Raises:
        ValueError: If there are too many tags, a tag is malformed, or a comment does not end.
    """
    count = at = 0
    while match := _TAG.search(mapped, at):
        _check_between(mapped, at, match.start())
        at = match.end()
        count += 1
        if count > _MAX_TAGS:
            raise ValueError(f"it has more than {_MAX_TAGS} tags")
        if match[1]:
            at = mapped.find(b"-->", at)
            if at < 0:
                raise ValueError("it has a comment that does not end")
            continue
        attributes = {
            key.decode(): unescape((double or single).decode())
            for key, double, single in _ATTRIBUTE.findall(match[4])
        }
        is_empty = match[4].endswith(b"/")
        yield Tag(match[3].decode(), attributes, bool(match[2]), is_empty, match.start(), at)
    _check_between(mapped, at, len(mapped))


def _check_between(mapped: mmap.mmap, start: int, end: int) -> None:
    """Refuse a tag that was skipped: what it opens or names would be lost."""
    if mapped.find(b"<", start, end) < 0:
        return
    if bad := _BEGIN.search(mapped, start, end):
        text = mapped[bad.start() : bad.start() + 60].decode(errors="replace").split("\n")[0]
        raise ValueError(
            f"'{text}' is not a tag of XML; if a name has < or quotes in it, as VTK writes "
            "but cannot read, rename that field and save the file again"
        )


def check_vtk_xml_tail(tail: bytes) -> None:
    """Refuse anything but spaces and comments after the last tag of a file.

    Raises:
        ValueError: If something else follows, or the tag is missing.
    """
    at = tail.rfind(_END)
    rest = tail[at + len(_END) :].strip()
    while at >= 0 and rest.startswith(b"<!--") and b"-->" in rest:
        rest = rest.partition(b"-->")[2].lstrip()
    if at < 0 or rest:
        raise ValueError("it does not end with </VTKFile>; another format, or truncated")
