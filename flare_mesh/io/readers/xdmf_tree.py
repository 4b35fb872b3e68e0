"""Grids of an XDMF file and the elements that they include."""

import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

_MAX_PATHS = 100
_MAX_LENGTH = 256
_STEP = re.compile(r"(//?)(\*|\w+)((?:\[[^\[\]]*\])*)")
_EITHER = re.compile(r"self::(\w+)(?:\s+or\s+self::(\w+))*")
_ATTRIBUTE = re.compile(r"""@(\w+)\s*=\s*(?:'([^']*)'|"([^"]*)")""")


class XDMFTree:
    """The elements of an XDMF file of version 2 or 3, whose XML has been checked.

    Args:
        path: The file.

    Raises:
        ValueError: If it is not XDMF, or has another version or number of domains.
    """

    def __init__(self, path: Path) -> None:
        self._root = ElementTree.parse(path).getroot()
        version = self._root.get("Version", "")
        if self._root.tag != "Xdmf" or version.split(".")[0] not in ("2", "3"):
            raise ValueError(
                f"expected <Xdmf Version=...> of version 2 or 3 (got <{self._root.tag}> "
                f"of version '{version}')"
            )
        domains = self._root.findall("Domain")
        if len(domains) != 1:
            raise ValueError(f"expected one Domain (got {len(domains)})")
        self.grids = domains[0].findall("Grid")
        self._found: dict[str, list[Element]] = {}

    def children(self, grid: Element) -> Iterator[Element]:
        """The children of a grid, with the included elements in place of ``xi:include``.

        Raises:
            ValueError: If an include refers to another file, or to nothing.
        """
        for child in grid:
            if child.tag.endswith("}include"):
                yield from self._included(child)
            else:
                yield child

    def find(self, place: str) -> Element:
        """The element of an XPath.

        Raises:
            ValueError: If there is none, or the path is not understood.
        """
        found = self._select(place)
        if not found:
            raise ValueError(f"there is no element {place!r}, to which the file refers")
        return found[0]

    def _included(self, include: Element) -> list[Element]:
        pointer = include.get("xpointer", "")
        inner = re.fullmatch(r"xpointer\((.*)\)", pointer.strip())
        if "href" in include.attrib or inner is None:
            raise ValueError(
                f"expected xi:include with xpointer(...) into the same file (got "
                f"{dict(include.attrib)})"
            )
        found = self._select(inner[1])
        if not found:
            raise ValueError(f"xi:include refers to {inner[1]!r}, which does not exist")
        return found

    def _select(self, place: str) -> list[Element]:
        """The elements of an XPath of names, attributes, positions and ``self::``."""
        if place not in self._found:
            # Each path may cost a search of the whole file; a series has a few.
            if len(self._found) == _MAX_PATHS or len(place) > _MAX_LENGTH:
                raise ValueError(f"has too many or too long XPaths ({place[:80]!r})")
            self._found[place] = self._search(place)
        return self._found[place]

    def _search(self, place: str) -> list[Element]:
        steps = list(_STEP.finditer(place))
        if "".join(step[0] for step in steps) != place.strip():
            raise ValueError(f"the XPath {place!r} is not understood")
        # The document itself, so that the first step can be the root.
        document = Element("document")
        document.append(self._root)
        found = [document]
        for step in steps:
            deep, name, predicates = step.groups()
            following: list[Element] = []
            for element in found:
                chosen = [
                    one
                    for one in (element.iter() if deep == "//" else element)
                    if one is not element and name in ("*", one.tag)
                ]
                for predicate in re.findall(r"\[([^\[\]]*)\]", predicates):
                    chosen = _filter(chosen, predicate.strip())
                following += chosen
            found = list({id(element): element for element in following}.values())
        return found


def _filter(elements: list[Element], predicate: str) -> list[Element]:
    if predicate.isdecimal():
        return elements[int(predicate) - 1 : int(predicate)] if int(predicate) else []
    attribute = _ATTRIBUTE.fullmatch(predicate)
    if attribute is not None:
        name, one, other = attribute.groups()
        return [element for element in elements if element.get(name) == (one or other or "")]
    if _EITHER.fullmatch(predicate):
        tags = re.findall(r"self::(\w+)", predicate)
        return [element for element in elements if element.tag in tags]
    raise ValueError(f"the condition [{predicate}] of an XPath is not understood")
