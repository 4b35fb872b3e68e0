"""Text: the sentiment of a review, byte by byte."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from flare_mesh.choices import check_choice
from flare_mesh.datasets.field_dataset import locate_file
from flare_mesh.datasets.lra.sequence_dataset import SequenceDataset
from flare_mesh.datasets.lra.sequences import Sequences
from flare_mesh.datasets.lra.text_pieces import class_folders, files_of_split, read_pieces
from flare_mesh.io.archives import extract_tar
from flare_mesh.io.download import download_file


class Text(SequenceDataset):
    """Reviews of films in bytes; the class is whether a review is positive.

    IMDb reviews of Maas et al. (2011), Long Range Arena (arXiv 2011.04006). The token of a byte b
    is b + 1; 0 is kept for padding. Longer reviews are cut.

    Files: ``aclImdb/{train,test}/{neg,pos}/*.txt``, or the processed pickles
    ``lra-text.{train,dev,test}.pickle``. In the published split the validation reviews are those of
    the test, so that the best checkpoint is chosen on the test; ``validation="train_tenth"`` takes
    each tenth training review instead.

    With ``source="folder"`` any folder of text files: a sub-folder is a class, a file is cut into
    pieces of ``max_length`` bytes, and files are divided 80 / 10 / 10 by their names, so that no
    file is in two splits.

    =====  =======  ==================  =====================
    split  samples  tokens              most frequent classes
    =====  =======  ==================  =====================
    train  25,000   52 to 4,000 (cut)   50 % each
    val    25,000   the test reviews    50 % each
    test   25,000   32 to 4,000 (cut)   50 % each
    =====  =======  ==================  =====================

    Args:
        root: Folder of the files.
        split: ``"train"``, ``"val"`` or ``"test"``.
        max_length: Bytes that a review or piece is cut to.
        validation: ``"test"`` or ``"train_tenth"``; no choice for ``source="folder"``.
        source: Which files to read: ``"release"``, ``"pickle"`` or ``"folder"``; by default the
            first two, if they exist.
        transform: Applied to each sample on access, as in PyG.

    Raises:
        FileNotFoundError: If there are no files.
        ValueError: If an option is unknown, or a file is damaged; the message names it.
    """

    task = "text"
    STATS: ClassVar[Mapping[str, int]] = {"train": 25000, "val": 25000, "test": 25000}
    ADDRESS = "https://ai.stanford.edu/~amaas/data/sentiment/aclImdb_v1.tar.gz"
    FIRST_ID = 1
    CUTS = True
    FOLDERS = True
    vocabulary_size = 257

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        max_length: int = 4000,
        validation: str = "test",
        source: str | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        check_choice("Text: unknown validation", validation, ("test", "train_tenth"))
        if max_length < 1:
            raise ValueError(f"Text: expected max_length >= 1 (got {max_length})")
        self.max_length = max_length
        self.tenth = validation == "train_tenth" and source != "folder"
        self.validation_is_test = source != "folder" and not self.tenth
        self.class_names = ("negative", "positive")
        if source == "folder":
            self.class_names = class_folders(Path(root))
        super().__init__(root, split, source=source, transform=transform)

    @property
    def published_samples(self) -> int | None:
        found = super().published_samples
        return {"train": 22500, "val": 2500}.get(self.split, found) if self.tenth else found

    @property
    def cache_name(self) -> str:
        return f"{super().cache_name}{'_tenth' if self.tenth else ''}"

    def find_files(self, root: Path, split: str) -> Mapping[str, Sequence[Path]]:
        folder = locate_file(root, f"aclImdb/{self._part(split)}")
        parts = [folder / name for name in ("neg", "pos")] if folder else []
        return {"release": [file for part in parts for file in sorted(part.glob("*.txt"))]}

    def find_folder(self, root: Path, split: str) -> Sequence[Path]:
        return files_of_split(root, self.class_names, split)

    def pickle_name(self, split: str) -> str:
        return super().pickle_name("train" if self._part(split) == "train" else split)

    def missing(self, source: str | None) -> str:
        if source == "pickle":
            return f"no {self.pickle_name(self.split)} there"
        return (
            f"no aclImdb/{self._part(self.split)}/{{neg,pos}}/*.txt there; get them by "
            f"Text.download from {self.ADDRESS}, or read any folder of text files with "
            f"source='folder'"
        )

    def read(self) -> Sequences:
        if self.source == "folder":
            root = Path(self.root)
            pieces = read_pieces(root, self._files, self.class_names, self.max_length)
            return Sequences.join([one.content for one in pieces], [one.label for one in pieces])
        labels = [int(file.parent.name == "pos") for file in self._files]
        if {*labels} != {0, 1}:
            raise ValueError(
                f"{self._files[0].parent.parent}: expected reviews in both neg and pos (got one); "
                f"unpack {self.ADDRESS} again"
            )
        contents = [file.read_bytes()[: self.max_length] for file in self._files]
        return Sequences.join([np.frombuffer(one, np.uint8) for one in contents], labels)

    def keep(self, found: Sequences) -> Sequences:
        if not self.tenth or self.split == "test":
            return found
        held_out = np.arange(len(found.labels)) % 10 == 9
        return found.select(held_out if self.split == "val" else ~held_out)

    @classmethod
    def download(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, root: str | Path, *, max_bytes: int = 2 * 2**30
    ) -> None:
        """Download the reviews (84 MB) and unpack them to ``root/aclImdb``.

        Args:
            root: Folder for ``aclImdb``.
            max_bytes: Limit of the unpacked size.
        """
        archive = Path(root, "aclImdb_v1.tar.gz")
        # The archive is removed last: without it the set is complete.
        if Path(root, "aclImdb").is_dir() and not archive.exists():
            return
        download_file(cls.ADDRESS, archive)
        extract_tar(archive, Path(root), max_bytes=max_bytes)
        archive.unlink()

    def _part(self, split: str) -> str:
        """The half of the reviews that holds a split."""
        return "train" if split == "train" or (split == "val" and self.tenth) else "test"
