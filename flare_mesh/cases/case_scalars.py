"""Numbers that belong to a whole case: from a table, or from the names of files."""

import csv
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from flare_mesh.io.mesh_formats import READABLE_SUFFIXES

_SUFFIXES = (*READABLE_SUFFIXES, ".pvd")


class NameScalars:
    """The named groups of a regular expression in the names of cases.

    Args:
        pattern: Such as ``r"u(?P<velocity>[\\d.]+)_a(?P<angle>-?[\\d.]+)"``; searched for anywhere
            in a name.

    Raises:
        ValueError: If the pattern is not a regular expression, or has no named groups.
    """

    def __init__(self, pattern: str) -> None:
        try:
            self.pattern = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"'{pattern}' is not a regular expression ({error})") from error
        if not self.pattern.groupindex:
            raise ValueError(f"expected named groups, (?P<name>...), in the pattern '{pattern}'")
        self.columns = tuple(self.pattern.groupindex)

    def of(self, name: str, columns: Iterable[str]) -> dict[str, float]:
        """Some numbers of one case.

        Raises:
            ValueError: If the pattern does not fit the name, or what it finds is not a number.
        """
        match = self.pattern.search(name)
        if match is None:
            raise ValueError(
                f"case '{name}': the pattern '{self.pattern.pattern}' does not fit its name"
            )
        return {key: _number(match[key], f"case '{name}', '{key}'") for key in columns}


class TableScalars:
    """The rows of a CSV table with a heading, separated by commas, semicolons or tabs, in UTF-8.

    The first column names the cases: by name, or by the last part of it, with or without the
    suffix of a mesh file.

    Raises:
        FileNotFoundError: If there is no such table.
        ValueError: If it is not such a table, or two columns have one name.
    """

    def __init__(self, table: Path) -> None:
        self.table = table
        heading, *rows = _rows(table)
        self.columns = tuple(name for name in heading[1:] if name)
        twice = sorted({name for name in self.columns if heading.count(name) > 1})
        if twice:
            raise ValueError(f"{table}: has several columns {twice}; rename or remove some")
        self.first = heading[0]
        self._rows: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in rows:
            name = row[0].strip()
            stem, dot, suffix = name.rpartition(".")
            if stem and dot + suffix.lower() in _SUFFIXES:
                name = stem
            self._rows[name].append(dict(zip(heading, row, strict=False)))

    def of(self, name: str, columns: Iterable[str]) -> dict[str, float]:
        """Some numbers of one case.

        Raises:
            ValueError: If it has no row or several, or an entry is not a number.
        """
        rows = self._rows.get(name) or self._rows.get(name.rsplit("/", 1)[-1]) or []
        if len(rows) != 1:
            found = "several rows" if rows else "no row"
            raise ValueError(
                f"{self.table}: {found} for case '{name}' in its column '{self.first}'"
            )
        return {
            key: _number(rows[0].get(key), f"{self.table}, '{name}', column '{key}'")
            for key in columns
        }


def _rows(table: Path) -> list[list[str]]:
    """Heading and rows that are not empty."""
    if not table.is_file():
        raise FileNotFoundError(f"{table}: no such table")
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{table}: is not text in UTF-8; save it as CSV in UTF-8") from error
    if "\0" in text:
        raise ValueError(f"{table}: is not text in UTF-8; save it as CSV in UTF-8")
    lines = text.splitlines(keepends=True)
    # The heading decides: numbers may have commas for points.
    separator = max(
        ",;\t", key=lambda mark: max(map(len, csv.reader(lines[:1], delimiter=mark)), default=0)
    )
    try:
        rows = [row for row in csv.reader(lines, delimiter=separator) if any(map(str.strip, row))]
    except csv.Error as error:
        raise ValueError(f"{table}: cannot be read as CSV ({error})") from error
    if len(rows) < 2 or len(rows[0]) < 2:
        raise ValueError(f"{table}: expected a heading, and rows of a case's name and numbers")
    rows[0] = [name.strip() for name in rows[0]]
    return rows


def _number(text: str | None, place: str) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{place}: expected a number (got '{text}')")
    return number
