"""Numbers in the names of cases, and the pattern that reads them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from flare_mesh.cases.case_scalars import NameScalars
from flare_mesh.mesh.mesh_storage import CELL_PREFIX, RESERVED

_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d{1,3}(?!\d))?")
_WORD = re.compile(r"([^\W\d_]+(?:_[^\W\d_]+)*)[_=\- ]?$")
_BARE = re.compile(r"([^\W\d_]+)$").search
_FOLDERS = re.compile(r"(?:[^/\d]*/)*")
_Parts = tuple[list[tuple[str, str]], str]
# Keys of a case that are not fields.
_RESERVED = RESERVED | {"x", "y", "weight", "case_id"}


@dataclass(frozen=True)
class NameNumbers:
    """Numbers that the names of cases tell.

    Attributes:
        pattern: Regular expression with a named group for each number, see
            :class:`~flare_mesh.cases.case_scalars.NameScalars`; None if there is none.
        values: Value in each case, by the name of the group.
        notes: Numbers that were left out, and why.
    """

    pattern: str | None = None
    values: dict[str, list[float]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Place:
    """A number in every name: the text before it, and its texts."""

    before: str
    texts: tuple[str, ...]
    name: str

    @property
    def values(self) -> list[float]:
        return [float(text) for text in self.texts]


def find_name_numbers(names: Sequence[str], taken: Sequence[str] = ()) -> NameNumbers:
    """Find the numbers in the names of cases, such as those of ``plate_012_load45.3_t2``.

    A number is called by the word before it, here ``plate``, ``load`` and ``t``. A number that
    only counts the cases is left out, see :func:`counts_cases`, and so is one that is equal in all
    names. Names whose texts differ, such as ``plate_load3`` and ``beam_load5``, have the numbers
    whose words are in all of them.

    Args:
        names: Names of all cases, without suffix.
        taken: Names that a number must not have, such as those of fields.
    """
    if len(names) < 2:
        return NameNumbers()
    # Folders without a number, such as those of splits, divide the names into groups.
    ends_of_groups = [_FOLDERS.match(name).end() for name in names]  # pyright: ignore[reportOptionalMemberAccess]
    groups = [name[:end] for name, end in zip(names, ends_of_groups, strict=True)]
    split = _with_signs(
        [_split(name[end:]) for name, end in zip(names, ends_of_groups, strict=True)]
    )
    if any(re.search(r"\d[pP,]\d", name) for name in names):
        note = "numbers such as '0p25' or '0,25' in the file names: write 0.25, or give a table"
        return NameNumbers(notes=(note,))
    texts = {tuple(before for before, _ in parts) for parts, _ in split}
    ends = {end for _, end in split}
    alike = len(texts) == 1 and len(ends) == 1
    places = _same_places(split) if alike else _common_words(split)
    places = _with_unique_names(places, taken)
    kept, notes = [], []
    for place in places:
        values = place.values
        if min(values) == max(values):
            continue
        if all(counts_cases(texts) for texts in _by_group(place.texts, groups)):
            notes.append(f"'{place.name}' in the file names, which only counts the files")
        else:
            kept.append(place)
    if not kept:
        return NameNumbers(notes=tuple(notes))
    wanted = {place.name: place.values for place in kept}
    for pattern in _patterns(places, kept, next(iter(ends)) if alike else None):
        if _reads(pattern, names, wanted):
            return NameNumbers(pattern, wanted, tuple(notes))
    note = f"{[*wanted]} in the file names, which no simple pattern reads: write name_pattern"
    return NameNumbers(notes=(*notes, note))


def counts_cases(texts: Sequence[str]) -> bool:
    """Whether numbers only count cases: different integers, one after the other.

    One in four may be missing, as after failed simulations; of numbers with leading zeros, such as
    ``007``, three in four.

    Args:
        texts: The number of each case as it is written.
    """
    if not all(text.isdecimal() for text in texts) or len({*map(int, texts)}) < len(texts):
        return False
    numbers = [int(text) for text in texts]
    padded = len({*map(len, texts)}) == 1 and any(text[0] == "0" for text in texts if text[1:])
    return max(numbers) - min(numbers) <= (4 if padded else 1.25) * len(numbers)


def _by_group(texts: Sequence[str], groups: Sequence[str]) -> list[list[str]]:
    return [
        [text for text, one in zip(texts, groups, strict=True) if one == group]
        for group in dict.fromkeys(groups)
    ]


def _split(name: str) -> _Parts:
    """Each number of a name with the text before it, and the text after the last."""
    parts, start = [], 0
    for match in _NUMBER.finditer(name):
        parts.append((name[start : match.start()], match[0]))
        start = match.end()
    return parts, name[start:]


def _with_signs(split: list[_Parts]) -> list[_Parts]:
    """A minus is a sign after ``_`` or ``=``, or after a word that has none in another name.

    Otherwise it separates the word and the number.
    """
    words = {match[1] for parts, _ in split for before, _ in parts if (match := _BARE(before))}

    def signed(before: str, text: str) -> tuple[str, str]:
        word = _BARE(before[:-1]) if before.endswith("-") else None
        is_sign = before.endswith(("_-", "=-")) or (word is not None and word[1] in words)
        return (before[:-1], f"-{text}") if is_sign else (before, text)

    return [([signed(*part) for part in parts], end) for parts, end in split]


def _same_places(split: list[_Parts]) -> list[_Place]:
    """The numbers of names that differ in nothing else."""
    places = []
    for number, (before, _) in enumerate(split[0][0]):
        word = _WORD.search(before)
        name = word[1] if word else f"number{number + 1}"
        places.append(_Place(before, tuple(parts[number][1] for parts, _ in split), name))
    return places


def _common_words(split: list[_Parts]) -> list[_Place]:
    """The numbers whose word is in every name once."""
    found: list[dict[str, str]] = []
    for parts, _ in split:
        words = [(match[0], text) for before, text in parts if (match := _last_word(before))]
        names = [word for word, _ in words]
        found.append({word: text for word, text in words if names.count(word) == 1})
    common = [word for word in found[0] if all(word in one for one in found)]
    return [
        _Place(word, tuple(one[word] for one in found), re.sub(r"[_=\- ]$", "", word))
        for word in common
    ]


def _last_word(before: str) -> re.Match[str] | None:
    return re.search(r"[^\W\d_]+[_=\- ]?$", before)


def _with_unique_names(places: list[_Place], taken: Sequence[str]) -> list[_Place]:
    """The places with names that are different, valid, and not those of fields."""
    used = {*taken}
    out = []
    for place in places:
        name = place.name
        if name in _RESERVED or f"{name}_".startswith(CELL_PREFIX):
            name = f"{name}_value"
        stem, number = name, 2
        while name in used:
            name, number = f"{stem}{number}", number + 1
        used.add(name)
        out.append(_Place(place.before, place.texts, name))
    return out


def _patterns(places: list[_Place], kept: list[_Place], end: str | None) -> list[str]:
    """Patterns from the shortest to the most exact; ``end`` is None for names that differ."""
    if end is None:
        parts = [f"{_escape(place.before)}{_group(place)}" for place in kept]
        return [".*?".join(parts), f"(?:^|[^A-Za-z]){'.*?'.join(parts)}"]
    whole = [f"{_escape(one.before)}{_group(one, named=one in kept)}" for one in places]
    first = next(i for i, place in enumerate(places) if place in kept)
    last = max(i for i, place in enumerate(places) if place in kept)
    before = places[first].before
    start = _WORD.search(before)
    short = [_escape(before[start.start() :] if start else before) + _group(places[first])]
    short += whole[first + 1 : last + 1]
    return ["".join(short), f"(?:^|/){''.join(whole)}{_escape(end)}$"]


def _escape(text: str) -> str:
    return re.sub(r"([.^$*+?{}\[\]\\|()])", r"\\\1", text)


def _group(place: _Place, *, named: bool = True) -> str:
    sign = "-?" if any(text.startswith("-") for text in place.texts) else ""
    exponent = r"(?:[eE][-+]?\d+)?" if any("e" in text.lower() for text in place.texts) else ""
    number = rf"{sign}\d+(?:\.\d+)?{exponent}"
    return f"(?P<{place.name}>{number})" if named else number


def _reads(pattern: str, names: Sequence[str], wanted: dict[str, list[float]]) -> bool:
    """Whether a pattern gives the values of all names."""
    try:
        reader = NameScalars(pattern)
        for number, name in enumerate(names):
            found = reader.values(name, wanted)
            if any(found[key] != values[number] for key, values in wanted.items()):
                return False
    except ValueError:
        return False
    return True
