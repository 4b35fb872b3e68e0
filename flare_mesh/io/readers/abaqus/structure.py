"""Parts, instances and assembly of a deck."""

from dataclasses import dataclass, field

from flare_mesh.io.readers.abaqus.deck import IMPERFECTION, STEPS, Deck, Keyword
from flare_mesh.io.readers.abaqus.placed import name_key, shown_name

_MESH = frozenset({"NODE", "ELEMENT", "NSET", "ELSET", "NGEN", "ELGEN", "SYSTEM"})
_WITHOUT_DATA = frozenset({"PART", "ASSEMBLY", "ENDPART", "ENDINSTANCE", "ENDASSEMBLY"})
_MAX_SECTIONS = 20_000


@dataclass
class Section:
    """A part, an instance, or the assembly.

    Attributes:
        name: Its name as it is written.
        keyword: The keyword that begins it; None for the deck itself.
        part: Name of the part of an instance.
        keywords: Keywords of the mesh in it.
    """

    name: str
    keyword: Keyword | None = None
    part: str = ""
    keywords: list[Keyword] = field(default_factory=list)


@dataclass
class Structure:
    """All sections of a deck.

    Attributes:
        own: What is in the assembly, or in no part; its name is that of the assembly.
        parts: By name.
        instances: By name.
        imperfect: Whether the analysis changes the coordinates of nodes.
        last: Name of the last keyword.
    """

    own: Section
    parts: dict[str, Section] = field(default_factory=dict)
    instances: dict[str, Section] = field(default_factory=dict)
    imperfect: bool = False
    last: str = ""


def read_structure(deck: Deck) -> Structure:
    """Sort the keywords of a deck by the part, instance or assembly that they are in.

    Raises:
        ValueError: If these are not nested as they must be, or one does not end.
    """
    found = Structure(Section(""))
    keyword = None
    opened: list[Keyword] = []
    section = found.own
    for keyword in deck.keywords():
        name = keyword.name
        if name in _WITHOUT_DATA and deck.text(keyword).strip():
            raise deck.error(
                keyword, "has data lines, which it cannot have; repair the keyword line below it"
            )
        if name in _MESH:
            section.keywords.append(keyword)
        elif name in ("PART", "INSTANCE", "ASSEMBLY", "STEP"):
            inside = [one.name for one in opened]
            if inside != (["ASSEMBLY"] if name == "INSTANCE" else []):
                where = f"in *{inside[-1]}" if inside else "outside *ASSEMBLY"
                raise deck.error(keyword, f"is {where}, where it cannot be")
            opened.append(keyword)
            section = _begin(deck, found, keyword) or section
        elif name.startswith("END") and name[3:] in ("PART", "INSTANCE", "ASSEMBLY", "STEP"):
            if not opened or opened[-1].name != name[3:]:
                raise deck.error(keyword, f"has no *{name[3:]} before it")
            opened.pop()
            section = found.own
        elif name == IMPERFECTION:
            found.imperfect = True
    if opened:
        raise deck.error(
            opened[-1],
            f"does not end with *END {opened[-1].name}: the file is truncated; restore its end",
        )
    assert keyword is not None
    found.last = keyword.name
    if found.last in _MESH and not deck.text(keyword).strip() and not _needs_none(keyword):
        raise deck.error(keyword, "ends the file without data lines: the file may be truncated")
    return found


def _needs_none(keyword: Keyword) -> bool:
    """Whether a keyword may have no data lines."""
    parameters = keyword.rest.upper().replace(" ", "")
    of_elements = keyword.name == "NSET" and "ELSET=" in parameters
    return keyword.name == "SYSTEM" or of_elements or "INPUT=" in parameters


def _begin(deck: Deck, found: Structure, keyword: Keyword) -> Section | None:
    """The section that a keyword begins; None for that of the deck itself."""
    if keyword.name in STEPS:
        return None
    given = deck.parameters(keyword)
    name = given.get("NAME", "")
    if keyword.name == "ASSEMBLY":
        found.own.name = name
        return None
    if not name or (keyword.name == "INSTANCE" and not given.get("PART")):
        raise deck.error(keyword, f"has no {'NAME' if not name else 'PART'}")
    sections = found.parts if keyword.name == "PART" else found.instances
    if name_key(name) in sections:
        raise deck.error(keyword, f"'{name[:80]}' is defined again; rename it")
    if len(sections) == _MAX_SECTIONS:
        raise deck.error(keyword, f"is one of more than {_MAX_SECTIONS:,}; join some of them")
    section = Section(shown_name(name), keyword, given.get("PART", ""))
    sections[name_key(name)] = section
    return section
