"""Retrieval: do two documents belong together? Byte by byte."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flare_mesh.choices import clip
from flare_mesh.datasets.field_dataset import locate_file
from flare_mesh.datasets.lra.release import RELEASE, missing_release
from flare_mesh.datasets.lra.sequence_dataset import SequenceDataset
from flare_mesh.datasets.lra.sequences import Sequences
from flare_mesh.datasets.lra.text_pieces import (
    Piece,
    class_folders,
    files_of_split,
    read_pieces,
)

_PARTS = {"train": "train", "val": "eval", "test": "test"}
_LABELS = {b"0.0": 0, b"1.0": 1, b"0": 0, b"1": 1}


class Retrieval(SequenceDataset):
    """Pairs of documents in bytes; the class is whether they belong together.

    Papers of the ACL Anthology Network (Radev et al., 2013), of which one cites the other or not;
    Long Range Arena (arXiv 2011.04006). The token of a byte b is b + 1; 0 is kept for padding.
    Longer documents are cut. Pairs of different splits share documents: the published split is by
    pair.

    Files: ``lra_release/lra_release/tsv_data/new_aan_pairs.{train,eval,test}.tsv`` without a
    header, with the columns label (0.0 or 1.0), two ids and two texts; or the processed pickles
    ``lra-retrieval.{train,dev,test}.pickle``.

    With ``source="folder"`` any folder of text files with a sub-folder for each class: files are
    divided 80 / 10 / 10 by their names and cut into pieces of ``max_length`` bytes. Each piece is
    the first document of two pairs: with a piece of another file of its sub-folder (label 1) and
    with one of another sub-folder (label 0).

    =====  =======  =====================  =======
    split  samples  tokens of a document   label 1
    =====  =======  =====================  =======
    train  147,086  up to 4,000 (cut)      50 %
    val    18,090   up to 4,000 (cut)      50 %
    test   17,437   up to 4,000 (cut)      50 %
    =====  =======  =====================  =======

    Args:
        root: Folder of the files.
        split: ``"train"``, ``"val"`` or ``"test"``.
        max_length: Bytes that a document is cut to.
        source: Which files to read: ``"release"``, ``"pickle"`` or ``"folder"``; by default the
            first two, if they exist.
        transform: Applied to each sample on access, as in PyG.

    Raises:
        FileNotFoundError: If there are no files.
        ValueError: If an option is unknown, or a file is damaged; the message names it.
    """

    task = "retrieval"
    documents = 2
    STATS: ClassVar[Mapping[str, int]] = {"train": 147086, "val": 18090, "test": 17437}
    ADDRESS = RELEASE
    FIRST_ID = 1
    CUTS = True
    FOLDERS = True
    class_names = ("apart", "together")
    vocabulary_size = 257

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        max_length: int = 4000,
        source: str | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if max_length < 1:
            raise ValueError(f"Retrieval: expected max_length >= 1 (got {max_length})")
        self.max_length = max_length
        super().__init__(root, split, source=source, transform=transform)

    def find_files(self, root: Path, split: str) -> Mapping[str, Sequence[Path]]:
        name = f"lra_release/lra_release/tsv_data/new_aan_pairs.{_PARTS[split]}.tsv"
        found = locate_file(root, name)
        return {"release": [found] if found else []}

    def find_folder(self, root: Path, split: str) -> Sequence[Path]:
        return files_of_split(root, class_folders(root), split)

    def missing(self, source: str | None) -> str:
        if source == "pickle":
            return f"no {self.pickle_name(self.split)} there"
        text = missing_release(f"tsv_data/new_aan_pairs.{_PARTS[self.split]}.tsv")
        return f"{text}, or read any folder of text files with source='folder'"

    def read(self) -> Sequences:
        if self.source == "folder":
            root = Path(self.root)
            classes = class_folders(root)
            pieces = read_pieces(root, self._files, classes, self.max_length)
            return _pairs(root, pieces, classes, self.split)
        documents, labels = [], []
        with self._files[0].open("rb") as file:
            for number, line in enumerate(file, start=1):
                place = f"{self._files[0]}, line {number}"
                words = line.rstrip(b"\r\n").split(b"\t")
                if len(words) != 5 or not line.endswith(b"\n"):
                    raise ValueError(
                        f"{place}: expected a label, two ids and two texts (got {len(words)} "
                        f"columns); the file is damaged or cut, get it again"
                    )
                if words[0] not in _LABELS:
                    shown = clip(words[0].decode("utf-8", "replace"), 40)
                    raise ValueError(f"{place}: expected the label 0.0 or 1.0 (got '{shown}')")
                labels.append(_LABELS[words[0]])
                documents += [
                    np.frombuffer(text[: self.max_length], np.uint8) for text in words[3:]
                ]
        return Sequences.join(documents, labels)


def _pairs(root: Path, pieces: Sequence[Piece], classes: Sequence[str], split: str) -> Sequences:
    """Two pairs of each piece, chosen by the order of the files alone."""
    rng = np.random.default_rng(0)
    files = np.array([piece.file for piece in pieces])
    labels = np.array([piece.label for piece in pieces])
    for label, name in enumerate(classes):
        count = len({*files[labels == label].tolist()})
        if count < 2:
            raise ValueError(
                f"{root / name}: expected at least 2 files in the split '{split}' (got {count}); "
                f"add files, or cut long ones"
            )
    documents, together = [], []
    for piece in pieces:
        same = np.flatnonzero((labels == piece.label) & (files != piece.file))
        other = np.flatnonzero(labels != piece.label)
        for label, choices in ((1, same), (0, other)):
            documents += [piece.content, pieces[int(rng.choice(choices))].content]
            together.append(label)
    return Sequences.join(documents, together)
