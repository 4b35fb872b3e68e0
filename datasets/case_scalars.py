"""Numbers that belong to a whole case: from a table, or from the names of files."""

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path


def scalars_of_names(names: Sequence[str], pattern: str) -> dict[str, dict[str, float]]:
    """The named groups of a regular expression in each name.

    Args:
        names: Names of the cases.
        pattern: Such as ``r"u(?P<velocity>[\\d.]+)_a(?P<angle>-?[\\d.]+)"``; searched for anywhere
            in the name.

    Raises:
        ValueError: If the pattern has no named groups, does not fit a name, or what it finds is
            not a number.
    """
    compiled = re.compile(pattern)
    if not compiled.groupindex:
        raise ValueError(f"expected named groups, (?P<name>...), in the pattern '{pattern}'")
    scalars = {}
    for name in names:
        match = compiled.search(name)
        if match is None:
            raise ValueError(f"case '{name}': the pattern '{pattern}' does not fit its name")
        scalars[name] = {
            key: _number(text, f"case '{name}', '{key}'") for key, text in match.groupdict().items()
        }
    return scalars


def scalars_of_table(names: Sequence[str], table: Path) -> dict[str, dict[str, float]]:
    """The row of each case in a CSV table with a heading.

    The first column names the cases: by name, or by the last part of it, with or without suffix.
    Columns that hold no numbers in any row are left out.

    Raises:
        FileNotFoundError: If there is no such table.
        ValueError: If a case has no row or several, or an entry is not a number.
    """
    if not table.is_file():
        raise FileNotFoundError(f"{table}: no such table")
    with table.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.DictReader(file))
    if not rows or len(rows[0]) < 2:
        raise ValueError(f"{table}: expected a heading, and rows of a case's name and numbers")
    first, *columns = [column for column in rows[0] if column is not None]
    columns = [c for c in columns if any(_is_number(row[c]) for row in rows)]
    by_name: dict[str, Mapping[str, str]] = {}
    for row in rows:
        if row[first] in by_name:
            raise ValueError(f"{table}: several rows for '{row[first]}'")
        by_name[row[first]] = row
    scalars = {}
    for name in names:
        row = _row(by_name, name)
        if row is None:
            raise ValueError(f"{table}: no row for case '{name}' in its column '{first}'")
        scalars[name] = {c: _number(row[c], f"{table}, '{name}', column '{c}'") for c in columns}
    return scalars


def _row(rows: Mapping[str, Mapping[str, str]], name: str) -> Mapping[str, str] | None:
    last = name.rsplit("/", 1)[-1]
    for key in (name, last):
        if key in rows:
            return rows[key]
    for key, row in rows.items():
        if key.rsplit(".", 1)[0] in (name, last):
            return row
    return None


def _is_number(text: str | None) -> bool:
    try:
        float(text or "")
    except ValueError:
        return False
    return True


def _number(text: str | None, place: str) -> float:
    if not _is_number(text):
        raise ValueError(f"{place}: expected a number (got '{text}')")
    return float(text or "")
