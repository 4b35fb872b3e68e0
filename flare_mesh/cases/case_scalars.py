"""Numbers for a whole case, from a table or from its name."""

import csv
import math
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from flare_mesh.io.mesh_formats import READABLE_SUFFIXES

_SUFFIXES = (*READABLE_SUFFIXES, ".pvd")


class NameScalars:
    """Numbers in the names of cases, matched by the named groups of a regular expression.

    Args:
        pattern: The expression, such as ``r"u(?P<velocity>[\\d.]+)_a(?P<angle>-?[\\d.]+)"``; it
            may match anywhere in a name.

    Attributes:
        columns: Names of the numbers.

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

    def values(self, case: str, columns: Iterable[str]) -> dict[str, float]:
        """The named numbers of a case.

        Raises:
            ValueError: If the pattern does not match the name, or a group is not a number.
        """
        match = self.pattern.search(case)
        if match is None:
            raise ValueError(
                f"case '{case}': its name does not match the pattern '{self.pattern.pattern}'"
            )
        return {key: _number(match[key], f"case '{case}', '{key}'") for key in columns}


class TableScalars:
    """Numbers in a CSV table with a header, separated by commas, semicolons or tabs, in UTF-8.

    The first column has the names of the cases, or the last part of them, with or without the
    suffix of a mesh file.

    Args:
        table: The file.

    Attributes:
        columns: Names of the numbers.

    Raises:
        FileNotFoundError: If the table does not exist.
        ValueError: If the file is not such a table, or two columns have the same name.
    """

    def __init__(self, table: Path) -> None:
        self.table = table
        header, *rows = _rows(table)
        self.columns = tuple(name for name in header[1:] if name)
        twice = sorted({name for name in self.columns if header.count(name) > 1})
        if twice:
            raise ValueError(f"{table}: several columns are called {twice}; rename or remove some")
        self.first = header[0]
        self._rows: dict[str, list[dict[str, str]]] = defaultdict(list)
        for row in rows:
            name = row[0].strip()
            stem, dot, suffix = name.rpartition(".")
            if stem and dot + suffix.lower() in _SUFFIXES:
                name = stem
            self._rows[name].append(dict(zip(header, row, strict=False)))

    def values(self, case: str, columns: Iterable[str]) -> dict[str, float]:
        """The named numbers of a case.

        Raises:
            ValueError: If the case has no row or several, or an entry is not a number.
        """
        rows = self._rows.get(case) or self._rows.get(case.rsplit("/", 1)[-1]) or []
        if len(rows) != 1:
            found = "several rows" if rows else "no row"
            raise ValueError(f"{self.table}: {found} for case '{case}' in column '{self.first}'")
        return {
            key: _number(rows[0].get(key), f"{self.table}, '{case}', column '{key}'")
            for key in columns
        }


def _rows(table: Path) -> list[list[str]]:
    """The header and the rows that are not empty."""
    if not table.is_file():
        raise FileNotFoundError(f"{table}: no such table")
    try:
        text = table.read_text(encoding="utf-8-sig")
        if "\0" in text:
            raise ValueError("it has null bytes")
    except ValueError as error:
        raise ValueError(f"{table}: not in UTF-8 ({error}); save it as CSV in UTF-8") from error
    lines = text.splitlines(keepends=True)
    # From the header, since numbers may have decimal commas.
    separator = max(
        ",;\t", key=lambda mark: max(map(len, csv.reader(lines[:1], delimiter=mark)), default=0)
    )
    try:
        rows = [row for row in csv.reader(lines, delimiter=separator) if any(map(str.strip, row))]
    except csv.Error as error:
        raise ValueError(f"{table}: cannot be read as CSV ({error})") from error
    if len(rows) < 2 or len(rows[0]) < 2:
        raise ValueError(f"{table}: expected a header, and rows of a case's name and its numbers")
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
