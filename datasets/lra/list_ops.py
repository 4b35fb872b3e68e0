"""ListOps: the value of a nested expression of lists."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flare_mesh.choices import clip
from flare_mesh.datasets.field_dataset import locate_file
from flare_mesh.datasets.lra.release import RELEASE, missing_release
from flare_mesh.datasets.lra.sequence_dataset import SequenceDataset
from flare_mesh.datasets.lra.sequences import Sequences

SYMBOLS = (*"0123456789", "X", "[MAX", "[MED", "[MIN", "[SM")
"""Symbols of the ids 1 to 15; X closes a list."""
_OPERATORS = {"[MAX": b"A", "[MED": b"D", "[MIN": b"I", "[SM": b"S", "]": b"X"}
_CODES = b"0123456789XADIS"  # a byte for each symbol
_TABLE = np.zeros(256, np.uint8)
_TABLE[np.frombuffer(_CODES, np.uint8)] = 1 + np.arange(len(_CODES), dtype=np.uint8)
_HEADER = b"Source\tTarget"


class ListOps(SequenceDataset):
    """Nested lists with the operators minimum, maximum, median and sum modulo 10.

    The class is the value of the expression, such as 4 of ``[MAX 4 3 [MIN 2 3 ] 1 0 ]``. From the
    Long Range Arena (arXiv 2011.04006, Apache 2.0); Nangia & Bowman, 2018. Medians of an even
    number of values are rounded down.

    Files: ``lra_release/lra_release/listops-1000/basic_{train,val,test}.tsv`` with the columns
    ``Source`` and ``Target``; ``python -m flare_mesh.datasets.generate listops`` makes them.
    Parentheses of the files say nothing and are left out. The ids are those of :data:`SYMBOLS`, 1
    to 15, independent of the files; those of the original code depend on the run. The processed
    pickles ``lra-listops.{train,dev,test}.pickle`` have ids of such a run, which are left as they
    are: a model that was trained on one source cannot be tested on the other.

    =====  =======  ============  =====================
    split  samples  tokens        most frequent classes
    =====  =======  ============  =====================
    train  96,000   501 to 1,999  0 and 9, 17 % each
    val    2,000    as above      as above
    test   2,000    as above      as above
    =====  =======  ============  =====================

    Args:
        root: Folder of the files, or any folder on their path.
        split: ``"train"``, ``"val"`` or ``"test"``.
        max_length: Most tokens of a sample.
        source: Which files to read: ``"release"`` or ``"pickle"``; by default those that exist.
        transform: Applied to each sample on access, as in PyG.

    Raises:
        FileNotFoundError: If the file is missing.
        ValueError: If an option is unknown, or the file is damaged or has longer samples.
    """

    task = "listops"
    STATS: ClassVar[Mapping[str, int]] = {"train": 96000, "val": 2000, "test": 2000}
    ADDRESS = RELEASE
    FIRST_ID = 1
    class_names = tuple("0123456789")
    vocabulary_size = len(SYMBOLS) + 1

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        max_length: int = 2000,
        source: str | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        self.max_length = max_length
        super().__init__(root, split, source=source, transform=transform)

    def find_files(self, root: Path, split: str) -> Mapping[str, Sequence[Path]]:
        found = locate_file(root, f"lra_release/lra_release/listops-1000/basic_{split}.tsv")
        return {"release": [found] if found else []}

    def missing(self, source: str | None) -> str:
        if source == "pickle":
            return f"no {self.pickle_name(self.split)} there"
        return missing_release(f"listops-1000/basic_{self.split}.tsv", "listops")

    def read(self) -> Sequences:
        rows = [*_read_tsv(self._files[0])]
        return Sequences.join([ids - np.uint8(1) for ids, _ in rows], [label for _, label in rows])


def encode(text: bytes) -> np.ndarray:
    """The ids of the symbols of an expression, uint8.

    Raises:
        ValueError: If it has another symbol.
    """
    plain = text.translate(None, b"()")
    for operator, code in _OPERATORS.items():
        plain = plain.replace(operator.encode(), code)
    words = plain.split()
    ids = _TABLE[np.frombuffer(b"".join(words), np.uint8)]
    if len(ids) != len(words) or not ids.all():
        known = {bytes([code]) for code in _CODES}
        word = next(word for word in words if word not in known)
        shown = clip(word.decode("utf-8", "replace"), 40)
        raise ValueError(
            f"expected symbols {' '.join(SYMBOLS[:10])} ] [MAX [MED [MIN [SM, separated "
            f"by blanks (got '{shown}')"
        )
    return ids


def _read_tsv(path: Path) -> Iterator[tuple[np.ndarray, int]]:
    with path.open("rb") as file:
        if file.readline().rstrip(b"\r\n") != _HEADER:
            raise ValueError(f"{path}: expected the columns Source and Target in its first line")
        for number, line in enumerate(file, start=2):
            place = f"{path}, line {number}"
            source, tab, target = line.rstrip(b"\r\n").partition(b"\t")
            if not tab or not line.endswith(b"\n"):
                raise ValueError(f"{place}: the file ends within it; get the file again")
            if len(target) != 1 or not target.isdigit():
                shown = clip(target.decode("utf-8", "replace"), 40)
                raise ValueError(f"{place}: expected a value from 0 to 9 (got '{shown}')")
            try:
                yield encode(source), int(target)
            except ValueError as error:
                raise ValueError(f"{place}: {error}") from None
