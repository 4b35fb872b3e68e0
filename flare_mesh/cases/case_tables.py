"""Tables of numbers in or beside a folder of cases."""

import os
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from flare_mesh.cases.case_scalars import TableScalars
from flare_mesh.io.mesh_file_warning import MeshFileWarning

_MOST_BYTES = 10 * 2**20


@dataclass(frozen=True)
class CaseTable:
    """A table whose first column names cases.

    Attributes:
        path: The file.
        header: Names of all columns but the first.
        columns: Value of each case in the columns of numbers; None for cases without a row.
        missing: Cases without a row.
        notes: Columns that were left out, and why.
    """

    path: Path
    header: tuple[str, ...]
    columns: dict[str, list[float | None]]
    missing: tuple[str, ...]
    notes: tuple[str, ...]


def find_case_table(root: Path, names: Sequence[str]) -> CaseTable | None:
    """Find the CSV file in or beside ``root`` whose first column names the cases.

    A file that names fewer than half of the cases is none of them.

    Args:
        root: Folder of the cases.
        names: Names of all cases.

    Raises:
        ValueError: If several files name the same number of cases.
    """
    folders = dict.fromkeys([root, Path(os.path.normpath(root / ".."))])
    paths = [path for folder in folders for path in _csv_files(folder)]
    found = [table for path in paths if (table := _try_table(path, names)) is not None]
    if not found:
        return None
    found.sort(key=lambda table: len(table.missing))
    best = [table for table in found if len(table.missing) == len(found[0].missing)]
    if len(best) > 1:
        raise ValueError(
            f"{root}: several tables name the cases: {', '.join(str(one.path) for one in best)}; "
            f"choose one by --table"
        )
    return best[0]


def read_case_table(path: Path, names: Sequence[str]) -> CaseTable:
    """Read the columns of numbers of a table.

    Args:
        path: The CSV file.
        names: Names of all cases.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no table, or names none of the cases.
    """
    table = TableScalars(path)
    reasons: dict[str, str] = {}
    for name in names:
        try:
            table.values(name, ())
        except ValueError as error:
            reasons[name] = str(error)
    if len(reasons) == len(names):
        raise ValueError(f"{next(iter(reasons.values()))}; none of the {len(names)} cases has one")
    columns, notes = {}, []
    for column in table.columns:
        values: list[float | None] = []
        wrong: list[str] = []
        for name in names:
            try:
                number = None if name in reasons else table.values(name, [column])[column]
            except ValueError:
                number = None
                wrong.append(name)
            values.append(number)
        if not wrong:
            columns[column] = values
        elif len(wrong) + len(reasons) == len(names):
            notes.append(f"column '{column}': no numbers")
        else:
            notes.append(f"column '{column}': no number for {len(wrong)} cases, such as {wrong[0]}")
    return CaseTable(path, table.columns, columns, tuple(reasons), tuple(notes))


def _csv_files(folder: Path) -> list[Path]:
    try:
        return sorted(
            Path(folder, entry.name)
            for entry in os.scandir(folder)
            if entry.name.lower().endswith(".csv")
            and not entry.name.startswith(".")
            and entry.is_file()
            and entry.stat().st_size <= _MOST_BYTES
        )
    except OSError:
        return []


def _try_table(path: Path, names: Sequence[str]) -> CaseTable | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", MeshFileWarning)  # it may be no table of cases
            table = read_case_table(path, names)
    except (ValueError, OSError):
        return None
    return table if 2 * len(table.missing) <= len(names) else None
