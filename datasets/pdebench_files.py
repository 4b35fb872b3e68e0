"""Addresses and checksums of PDEBench's files.

``pdebench_files.csv`` is the list that the authors of PDEBench publish with their code, without the
274 files of the incompressible flows, whose layout is not supported.
"""

import csv
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class PDEBenchFile:
    """A published file.

    Attributes:
        path: The authors' folder, and name.
        url: Address; no account is needed.
        md5: Checksum.
    """

    path: str
    url: str
    md5: str


def _read(path: Path) -> dict[str, PDEBenchFile]:
    url = "https://darus.uni-stuttgart.de/api/access/datafile/{}"
    with path.open(newline="", encoding="utf-8") as table:
        rows = [PDEBenchFile(path, url.format(id), md5) for path, id, md5 in csv.reader(table)]
    return {Path(row.path).name: row for row in rows[1:]}


PDEBENCH_FILES = _read(Path(__file__).with_name("pdebench_files.csv"))
"""The published files by name."""
