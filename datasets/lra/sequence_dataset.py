"""Base class of data sets of labelled sequences."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch_geometric.data import Data, Dataset

from flare_mesh.choices import check_choice
from flare_mesh.datasets.field_dataset import locate_file
from flare_mesh.datasets.lra.processed_pickle import read_processed
from flare_mesh.datasets.lra.release import download_release
from flare_mesh.datasets.lra.sequences import Sequences
from flare_mesh.io.array_cache import cached_npz

_log = logging.getLogger(__name__)


class SequenceDataset(Dataset, ABC):
    """Base class of data sets of labelled sequences, which are not padded.

    A sample is a PyG ``Data``:

    ==============  =============  ================================================================
    ``token``       int64 [N]      ids of the tokens, 0 ... ``vocabulary_size`` - 1
    ``y``           int64 [1]      the class, 0 ... ``num_classes`` - 1
    ``num_nodes``   int            N, by which PyG's ``Batch`` makes ``batch`` and ``ptr``
    ``length``      int64 [1, 2]   only for pairs: tokens of the first and of the second document,
                                   which follow each other in ``token``
    ==============  =============  ================================================================

    So a batch of B samples has ``token`` [sum N] and ``y`` [B]; the offsets of its 2 B documents,
    if they are pairs, are the cumulative sum of ``length`` [B, 2]. A document without tokens has
    one token 0.

    The files are read once; the tokens are cached in ``root/processed`` and memory-mapped.

    Args:
        root: Folder of the files.
        split: ``"train"``, ``"val"`` or ``"test"``.
        source: Which files to read, one of the names in :meth:`find_files` or ``"pickle"``; by
            default those that exist.
        transform: Applied to each sample on access, as in PyG.

    Raises:
        FileNotFoundError: If there are no files.
        ValueError: If an option is unknown, there are files of several sources, or they are
            damaged.
    """

    task: ClassVar[str]
    """Name of the task."""
    documents: ClassVar[int] = 1
    """Documents of a sample: 1, or 2 for pairs."""
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "test")
    """Names of the splits."""
    STATS: ClassVar[Mapping[str, int]]
    """Samples of each published split."""
    ADDRESS: ClassVar[str] = ""
    """Where a person finds the files."""
    FIRST_ID: ClassVar[int] = 0
    """Smallest id of a token: 1 where 0 is kept for padding, which no sample has."""
    CUTS: ClassVar[bool] = False
    """Whether longer documents are cut to ``max_length``; otherwise they are refused."""
    FOLDERS: ClassVar[bool] = False
    """Whether any folder of text files can be read, by ``source="folder"``."""
    class_names: tuple[str, ...]
    """Names of the classes."""
    vocabulary_size: int
    """Ids of tokens, 0 included."""
    in_channels: int | None = None
    """Channels of the continuous values ``x`` that a sample has instead of tokens, or None."""
    max_length: int
    """Upper bound of the tokens of a document."""
    validation_is_test = False
    """Whether the validation split is the test split."""

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        source: str | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        check_choice(f"{type(self).__name__}: unknown split", split, self.splits)
        self.split = split
        self.source, self._files = self._choose(Path(root), source)
        super().__init__(str(root), transform)
        found = self._open()
        self._sequences: Sequences | None = found
        longest, count = int(np.diff(found.offsets).max()), len(found.labels)
        if longest > self.max_length:
            raise ValueError(
                f"{self._files[0]}: expected documents of at most {self.max_length:,} tokens (got "
                f"{longest:,}); choose max_length={longest}"
            )
        if count != (self.published_samples or count):
            text = "%s: %d samples instead of %d; the split '%s' is not the published one"
            _log.warning(text, self._files[0], count, self.published_samples, split)

    @property
    def has_download(self) -> bool:
        """False: PyG downloads automatically."""
        return False

    @property
    def published_samples(self) -> int | None:
        """Samples of the published split; None if the files are not published ones."""
        return None if self.source == "folder" else self.STATS[self.split]

    @abstractmethod
    def find_files(self, root: Path, split: str) -> Mapping[str, Sequence[Path]]:
        """Files of a split that exist, by the name of their source."""

    @abstractmethod
    def read(self) -> Sequences:
        """Read the documents of the split from its files.

        Raises:
            ValueError: If a file cannot be used; the message begins with its path.
        """

    def keep(self, found: Sequences) -> Sequences:
        """The samples of the split among those of its files; by default all."""
        return found

    @property
    def cache_name(self) -> str:
        """Name of the cached tokens, with every option that changes them."""
        cut = f"_{self.max_length}" if self.CUTS else ""
        return f"{self.task}_{self.split}_{self.source}{cut}"

    @property
    def num_classes(self) -> int:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Number of classes."""
        return len(self.class_names)

    @property
    def labels(self) -> NDArray[np.int64]:
        """Class of each sample, without reading one."""
        return self._all.labels[np.asarray(self.indices())]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sample, of both documents for pairs, without reading one."""
        sizes = np.maximum(np.diff(self._all.offsets), 1).reshape(-1, self.documents).sum(1)
        return sizes[np.asarray(self.indices())]

    def describe(self) -> str:
        """Numbers of samples, tokens and classes, in a sentence."""
        lengths, counts = self.lengths, np.bincount(self.labels, minlength=self.num_classes)
        share = 100 * counts.max() / max(1, len(lengths))
        return (
            f"{type(self).__name__}, {self.split}: {len(lengths):,} samples of {lengths.min():,} "
            f"to {lengths.max():,} tokens, median {np.median(lengths):,.0f}; {self.num_classes} "
            f"classes, the most frequent one '{self.class_names[counts.argmax()]}' with "
            f"{share:.1f} %"
        )

    def len(self) -> int:
        return len(self._all.labels)

    def get(self, idx: int) -> Data:
        tokens, offsets, labels = self._all
        number = self.documents
        places = [int(offset) for offset in offsets[number * idx : number * (idx + 1) + 1]]
        parts = [
            tokens[start:stop].astype(np.int64) + self.FIRST_ID
            if stop > start
            else np.zeros(1, np.int64)
            for start, stop in pairwise(places)
        ]
        token = parts[0] if number == 1 else np.concatenate(parts)
        data = Data(token=torch.from_numpy(token), y=torch.tensor([int(labels[idx])]))
        data.num_nodes = len(token)
        if number > 1:
            data.length = torch.tensor([[len(part) for part in parts]])
        return data

    def __getstate__(self) -> dict[str, Any]:
        # A pickled memory map is a copy of the whole file.
        return {**self.__dict__, "_sequences": None}

    @property
    def _all(self) -> Sequences:
        if self._sequences is None:
            self._sequences = self._open()
        return self._sequences

    def _choose(self, root: Path, source: str | None) -> tuple[str, list[Path]]:
        """The source of the files, and the files."""
        name = type(self).__name__
        found = {kind: [*files] for kind, files in self.find_files(root, self.split).items()}
        pickle = locate_file(root, self.pickle_name(self.split))
        found["pickle"] = [pickle] if pickle else []
        if source == "folder" and self.FOLDERS:
            return source, [*self.find_folder(root, self.split)]
        if source is not None:
            known = [*found, *(["folder"] if self.FOLDERS else [])]
            check_choice(f"{name}: unknown source", source, known)
            found = {source: found[source]}
        there = {kind: files for kind, files in found.items() if files}
        if not there:
            raise FileNotFoundError(f"{root}: {self.missing(source)}")
        if len(there) > 1:
            raise ValueError(
                f"{root}: expected files of one source for {name}, '{self.split}' (got "
                f"{[*there]}); choose one by source="
            )
        return there.popitem()

    @abstractmethod
    def missing(self, source: str | None) -> str:
        """What is missing if there are no files, or none of a source, and how to get it."""

    def find_folder(self, root: Path, split: str) -> Sequence[Path]:
        """Text files of a split in any folder."""
        raise NotImplementedError

    def pickle_name(self, split: str) -> str:
        """Name of the processed pickle of a split."""
        return f"lra-{self.task}.{'dev' if split == 'val' else split}.pickle"

    @classmethod
    def download(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, root: str | Path, *, max_bytes: int = 40 * 2**30
    ) -> None:
        """Download the Long Range Arena's release (7.7 GB) and unpack it below ``root``.

        Args:
            root: Folder for ``lra_release``.
            max_bytes: Limit of the unpacked size.
        """
        download_release(root, max_bytes=max_bytes)

    def _open(self) -> Sequences:
        target = Path(self.processed_dir, "lra", f"{self.cache_name}.npz")
        arrays = cached_npz(
            target, self._files, lambda: self._checked()._asdict(), Sequences._fields
        )
        return Sequences(**arrays)

    def _read_pickle(self) -> Sequences:
        return read_processed(
            self._files[0],
            documents=self.documents,
            first_id=self.FIRST_ID,
            vocabulary_size=self.vocabulary_size,
            max_length=self.max_length if self.CUTS else None,
        )

    def _checked(self) -> Sequences:
        found = self.keep(self._read_pickle() if self.source == "pickle" else self.read())
        count = len(found.labels)
        assert len(found.offsets) == self.documents * count + 1
        assert found.offsets[-1] == len(found.tokens)
        if not count:
            raise ValueError(f"{self._files[0]}: expected at least one sample (got none)")
        if found.labels.min() < 0 or found.labels.max() >= self.num_classes:
            bad = int(np.flatnonzero((found.labels < 0) | (found.labels >= self.num_classes))[0])
            raise ValueError(
                f"{self._files[0]}, sample {bad}: expected a class from 0 to "
                f"{self.num_classes - 1} (got {found.labels[bad]}); get the file again"
            )
        return found
