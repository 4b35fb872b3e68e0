"""Keyword lines of a deck and the data lines below them."""

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

READ = frozenset(
    {
        *("NODE", "ELEMENT", "NSET", "ELSET", "NGEN", "ELGEN", "SYSTEM"),
        *("PART", "INSTANCE", "ASSEMBLY", "ENDPART", "ENDINSTANCE", "ENDASSEMBLY"),
    }
)
"""Keywords, without blanks, that define the mesh."""

_ENDS = frozenset({"ENDPART", "ENDINSTANCE", "ENDASSEMBLY"})
PARAMETERS = {
    "NODE": ("NSET", "SYSTEM", "INPUT"),
    "NGEN": ("NSET", "LINE", "SYSTEM"),
    # PARENT is the refined element, of which CalculiX makes the one that it writes.
    "ELEMENT": ("TYPE", "ELSET", "INPUT", "FILE", "OFFSET", "PARENT"),
    "ELGEN": ("ELSET", "ALLNODES"),
    "NSET": ("NSET", "ELSET", "GENERATE", "INSTANCE", "INTERNAL", "UNSORTED"),
    "ELSET": ("ELSET", "GENERATE", "INSTANCE", "INTERNAL", "UNSORTED"),
    "PART": ("NAME",),
    "INSTANCE": ("NAME", "PART"),
    "ASSEMBLY": ("NAME",),
}
"""Parameters of the keywords, without blanks."""

STEPS = frozenset({"STEP", "ENDSTEP"})
IMPERFECTION = "IMPERFECTION"

REFUSED = {
    "INCLUDE": "includes another file, which is not read; put all into one file",
    "IMPORT": "takes the mesh from another analysis, which is not read; write its mesh to the deck",
    "NFILL": "is not read; write the nodes that it generates to the deck",
    "NCOPY": "is not read; write the nodes that it generates to the deck",
    "NMAP": "is not read; write the mapped nodes to the deck",
    "ELCOPY": "is not read; write the elements that it generates to the deck",
    "SYMMETRICMODELGENERATION": "is not read; write the generated model to the deck",
}
"""Keywords that change the mesh and are not read."""

FIRST_LINE = "** Written by flare-mesh\n"
LAST_LINE = "** End of the mesh\n"
"""Comments around a mesh that this library writes, since the format has no end mark."""

_KNOWN = sorted(READ | STEPS | {IMPERFECTION, *REFUSED})
_CLOSE = 0.8  # of difflib; no other keyword of the programs is that similar to one that is read
_SHORTEST = 3  # letters of an abbreviation
_MAX_OTHERS = 2000  # the programs have some 500 keywords
_MAX_CACHED = 1000
_NO_BLANKS = str.maketrans("", "", " \t")
_PARTS = re.compile(r'(?:[^,"]|"[^"]*"?)+')


@dataclass(slots=True)
class Keyword:
    """A keyword line and the places of its data lines.

    Attributes:
        name: The keyword in upper case without blanks, such as ``"ENDPART"``.
        rest: Text of the keyword line after the first comma, with its continuation lines.
        start: Offset of the keyword line in the deck.
        data: Offsets of the first byte and the end of the data between comments.
    """

    name: str
    rest: str
    start: int
    data: list[tuple[int, int]] = field(default_factory=list)


class Deck:
    """The bytes of a deck with line feeds as line ends.

    Raises:
        ValueError: If it is not a text file, or was written by this library and has no end.
    """

    def __init__(self, path: Path) -> None:
        content = path.read_bytes()
        if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
            raise ValueError("expected text in UTF-8 or Latin-1 (got binary data or UTF-16)")
        content = content.removeprefix(b"\xef\xbb\xbf")
        if b"\r" in content:
            content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if content.startswith(FIRST_LINE.encode()) and LAST_LINE.encode() not in content:
            raise ValueError(f"it has no line '{LAST_LINE.rstrip()}': the file is truncated")
        self.content = content
        # Decks may have the same line a million times.
        self._lines: dict[bytes, tuple[str, str]] = {}
        self._others: set[str] = set()
        self._parameters: dict[tuple[str, str], dict[str, str]] = {}

    def line(self, offset: int) -> int:
        """Number of the line, from 1, that has the byte at ``offset``."""
        return self.content.count(b"\n", 0, offset) + 1

    def error(self, keyword: Keyword, message: str) -> ValueError:
        """An error at the line of a keyword, which the message begins with."""
        name = re.sub("^END(?=.)", "END ", keyword.name)
        return ValueError(f"line {self.line(keyword.start)}: *{name} {message}")

    def text(self, keyword: Keyword) -> bytes:
        """Data lines of a keyword, without comments."""
        return b"".join(self.content[start:end] for start, end in keyword.data)

    def parameters(self, keyword: Keyword) -> dict[str, str]:
        """Parameters of a keyword line by their full names; values keep their quotes.

        Raises:
            ValueError: If a parameter, which may be abbreviated, is not one of ``PARAMETERS``.
        """
        known = PARAMETERS[keyword.name]
        cached = self._parameters.get((keyword.name, keyword.rest))
        if cached is not None:
            return cached
        found: dict[str, str] = {}
        for part in _PARTS.findall(keyword.rest):
            key, _, value = part.partition("=")
            key = key.translate(_NO_BLANKS).upper()
            if not part.strip():
                continue
            names = [key] if key in known else [name for name in known if name.startswith(key)]
            names = names if key else []
            if len(names) != 1:
                raise self.error(
                    keyword,
                    f"has the parameter '{key[:40]}', which is not read; expected some of "
                    f"{', '.join(known)}",
                )
            value = value.strip()
            found[names[0]] = value if value.startswith('"') else value.translate(_NO_BLANKS)
        if len(self._parameters) < _MAX_CACHED:
            self._parameters[keyword.name, keyword.rest] = found
        return found

    def keywords(self) -> Iterator[Keyword]:
        """Keywords in their order.

        Raises:
            ValueError: If the deck does not begin with a keyword, ends within a line of the mesh,
                or has a keyword that changes the mesh and is not read, or is misspelt.
        """
        content = self.content
        current: Keyword | None = None
        begin = 0  # of the data that belong to the current keyword
        star = content.find(b"*")
        while star >= 0:
            first = content.rfind(b"\n", begin, star) + 1 or begin
            end = content.find(b"\n", star) + 1 or len(content)
            if not content[first:star].strip(b" \t"):
                if first > begin:
                    self._add(current, begin, first)
                if content.startswith(b"*", star + 1):  # a comment
                    begin = end
                else:
                    if current is not None:
                        yield current
                    current, end = self._keyword(star, end)
                    begin = end
            star = content.find(b"*", end)
        if begin < len(content):
            self._add(current, begin, len(content))
        if current is None:
            raise ValueError("expected a keyword line such as *NODE (got none)")
        self._check_end(current)
        yield current

    def _add(self, keyword: Keyword | None, begin: int, end: int) -> None:
        if keyword is not None:
            keyword.data.append((begin, end))
        elif self.content[begin:end].strip():
            offset = end - len(self.content[begin:end].lstrip())
            raise ValueError(
                f"line {self.line(offset)}: expected a keyword line that begins with '*' "
                f"(got {self.content[offset : offset + 40].splitlines()[0]!r})"
            )

    def _keyword(self, start: int, end: int) -> tuple[Keyword, int]:
        """The keyword whose line is [start, end), and the end of its continuation lines."""
        content = self.content
        parts = [content[start + 1 : end].rstrip()]
        while parts[-1].endswith(b",") and end < len(content):
            following = content.find(b"\n", end) + 1 or len(content)
            text = content[end:following].strip()
            if text[:1].isalpha() or text[:1] == b'"':
                parts.append(text)
            elif not text.startswith(b"**"):
                break
            end = following
        line = b"".join(parts)
        parsed = self._lines.get(line)
        if parsed is None:
            try:
                decoded = line.decode()
            except UnicodeDecodeError:
                decoded = line.decode("latin-1")
            name, _, rest = decoded.partition(",")
            parsed = name.translate(_NO_BLANKS).upper(), rest
            self._check(Keyword(*parsed, start))
            if len(self._lines) < _MAX_CACHED:
                self._lines[line] = parsed
        return Keyword(*parsed, start), end

    def _check(self, keyword: Keyword) -> None:
        """Refuse a keyword that changes the mesh and is not read, or is misspelt."""
        name = keyword.name
        if name in REFUSED:
            raise self.error(keyword, REFUSED[name])
        if name in READ or name in STEPS or name in self._others:
            return
        if len(self._others) == _MAX_OTHERS:
            raise self.error(keyword, f"is one of more than {_MAX_OTHERS} unknown keywords")
        near = [one for one in _KNOWN if len(name) >= _SHORTEST and one.startswith(name)]
        near = near or difflib.get_close_matches(name, _KNOWN, 1, _CLOSE)
        near = near or [one for one in _KNOWN if _is_one_edit(name, one)]
        if not name[:1].isalpha():
            raise self.error(keyword, "is not a keyword; repair the line")
        if near and near[0] != name and name != "END":
            raise self.error(
                keyword, f"is not a keyword; write *{near[0]} in full if that is meant"
            )
        self._others.add(name)

    def _check_end(self, last: Keyword) -> None:
        """Refuse a deck that ends within a line of the mesh, as a truncated one may."""
        content = self.content
        line = content[content.rfind(b"\n") + 1 :].strip()
        if not line or line.startswith(b"**"):
            return
        if line.startswith(b"*"):
            of_the_mesh = any(one.startswith(last.name) for one in READ - _ENDS)
        else:
            of_the_mesh = last.name in READ - _ENDS
        if of_the_mesh:
            raise self.error(
                last,
                f"ends in line {self.line(len(content))} with the file, without a line end: the "
                f"file may be truncated; add a line end if it is whole",
            )


def _is_one_edit(name: str, other: str) -> bool:
    """Whether two words differ by one letter, or by two that are exchanged."""
    start = 0
    while start < min(len(name), len(other)) and name[start] == other[start]:
        start += 1
    name, other = name[start:], other[start:]
    while name and other and name[-1] == other[-1]:
        name, other = name[:-1], other[:-1]
    return max(len(name), len(other)) < 2 or (len(name) == 2 and name == other[::-1])
