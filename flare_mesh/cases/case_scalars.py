"""Numbers for a whole case, from a table or from its name."""

import csv
import math
import re
import time
import warnings
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

import regex

from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.mesh_formats import READABLE_SUFFIXES

_MAX_NAME = 255
_SECONDS, _SECONDS_PER_NAME = 1.0, 1e-3
_SUFFIXES = (*READABLE_SUFFIXES, ".pvd")
# Excel's first line that states the separator.
_STATED = re.compile(r"""["']?sep=([^"'\s\w]|\t)["']?[,;\s]*$""", re.IGNORECASE)


class NameScalars:
    """Numbers in the names of cases, matched by the named groups of a regular expression.

    A pattern such as ``(a|aa)+$`` takes a time that is exponential in the length of a name, and
    :mod:`re` cannot be stopped. The package ``regex`` matches the same expressions in a limited
    time.

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
            re.compile(pattern)  # without the extensions of regex
            self.pattern = regex.compile(pattern)
        except (re.error, regex.error, RecursionError, OverflowError) as error:
            raise ValueError(
                f"'{pattern[:200]}' is not a regular expression ({str(error)[:200]})"
            ) from error
        if not self.pattern.groupindex:
            raise ValueError(f"expected named groups, (?P<name>...), in the pattern '{pattern}'")
        self.columns = tuple(self.pattern.groupindex)
        self._seconds_left = _SECONDS

    def values(self, case: str, columns: Iterable[str]) -> dict[str, float]:
        """The named numbers of a case.

        Raises:
            ValueError: If the pattern does not match the name, or takes too long, or a group is not
                a number.
        """
        if len(case) > _MAX_NAME:
            raise ValueError(
                f"case '{case}': expected a name of at most {_MAX_NAME} characters for a name "
                f"pattern (got {len(case)}); shorten the names of its folders, or use a table"
            )
        start = time.thread_time()
        try:
            match = self.pattern.search(case, timeout=max(self._seconds_left, _SECONDS_PER_NAME))
        except TimeoutError as error:
            raise ValueError(
                f"the pattern '{self.pattern.pattern}' takes too long, on the name '{case}'; write "
                f"it without a repeated group that can match in several ways"
            ) from error
        self._seconds_left += _SECONDS_PER_NAME - (time.thread_time() - start)
        if match is None:
            raise ValueError(
                f"case '{case}': its name does not match the pattern '{self.pattern.pattern}'"
            )
        return {key: _number(match[key], f"case '{case}', '{key}'") for key in columns}


class TableScalars:
    """Numbers in a CSV table with a header, separated by commas, semicolons or tabs, in UTF-8.

    Another separator can be stated in a first line ``sep=|``, as spreadsheets do. The first column
    has the names of the cases with or without the suffix of a mesh file, or longer or shorter paths
    that end alike: ``results/train/a.vtu``, ``train/a`` and ``a`` are all ``train/a``. The row with
    the most parts of a case's name is taken.

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
        # By the last part of the name: the parts of the name before it, and the numbers.
        self._rows: dict[str, list[tuple[list[str], dict[str, str]]]] = defaultdict(list)
        for row in rows:
            name = row[0].strip()
            stem, dot, suffix = name.rpartition(".")
            if stem and dot + suffix.lower() in _SUFFIXES:
                name = stem
            *before, last = _parts(name)
            self._rows[last].append((before, dict(zip(header, row, strict=False))))

    def values(self, case: str, columns: Iterable[str]) -> dict[str, float]:
        """The named numbers of a case.

        Raises:
            ValueError: If the case has no row or several, or an entry is not a number.
        """
        *before, last = _parts(case)
        alike: dict[int, list[dict[str, str]]] = defaultdict(list)
        for above, row in self._rows.get(last, ()):
            common = min(len(before), len(above))
            if before[len(before) - common :] == above[len(above) - common :]:
                # The same name, rather than a longer path that ends with it.
                alike[2 * common + (above == before)].append(row)
        rows = alike[max(alike)] if alike else []
        if len(rows) != 1:
            found = "several rows" if rows else "no row"
            raise ValueError(
                f"{self.table}: {found} for case '{case}' in column '{self.first}'"
                f"{'' if rows else self._lost_zeros(last)}"
            )
        return {
            key: _number(rows[0].get(key), f"{self.table}, '{case}', column '{key}'")
            for key in columns
        }

    def _lost_zeros(self, name: str) -> str:
        short = name.lstrip("0") or "0"
        if not name.isdecimal() or short == name or short not in self._rows:
            return ""
        return f"; it has '{short}': write '{name}', as text in a spreadsheet"


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
    stated = _STATED.match(lines[0]) if lines else None
    lines = lines[1:] if stated else lines
    try:
        # From the header, since numbers may have decimal commas.
        separator = (
            stated[1]
            if stated
            else max(",;\t", key=lambda mark: sum(map(len, csv.reader(lines[:1], delimiter=mark))))
        )
        rows = [row for row in csv.reader(lines, delimiter=separator) if any(map(str.strip, row))]
    except csv.Error as error:
        raise ValueError(f"{table}: cannot be read as CSV ({error})") from error
    if len(rows) < 2 or len(rows[0]) < 2:
        raise ValueError(f"{table}: expected a header, and rows of a case's name and its numbers")
    if not text.endswith(("\n", "\r")):
        warnings.warn(
            f"{table}: its last line has no line end; check the last number if the file may be "
            f"cut off",
            MeshFileWarning,
            stacklevel=3,
        )
    rows[0] = [name.strip() for name in rows[0]]
    return rows


def _parts(name: str) -> list[str]:
    """Parts of a path, which may be one of Windows."""
    parts = [part for part in name.replace("\\", "/").split("/") if part not in ("", ".")]
    return parts or [""]


def _number(text: str | None, place: str) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        shown = (text or "")[:40]
        remedy = "; write it with a decimal point, and no comma" if "," in (text or "") else ""
        raise ValueError(f"{place}: expected a number (got '{shown}'){remedy}")
    return number
