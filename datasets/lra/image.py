"""Image: the class of a small picture, pixel by pixel."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flare_mesh.datasets.field_dataset import locate_file
from flare_mesh.datasets.lra.idx_files import find_idx, read_idx
from flare_mesh.datasets.lra.picture_dataset import SIDE, PictureDataset
from flare_mesh.datasets.lra.sequences import Sequences
from flare_mesh.io.archives import extract_tar
from flare_mesh.io.download import download_file

_CIFAR = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_RECORD, _PIXELS = 3073, SIDE**2


class Image(PictureDataset):
    """Grey pictures of 32 x 32 pixels, row by row; the class is what they show.

    CIFAR-10 (Krizhevsky, 2009), Long Range Arena (arXiv 2011.04006). A token is the grey value, 0
    to 255, of which 0 is a black pixel and no padding: 255.5 (0.2989 R + 0.587 G + 0.114 B) / 255,
    rounded down. The first 90 % of the training pictures in the order of the files are for
    training, the others for validation; the order of the original is TensorFlow's.

    Files: ``cifar-10-batches-bin/{data_batch_1,...,data_batch_5,test_batch}.bin``; the processed
    pickles ``lra-image.{train,dev,test}.pickle``; or, as a stand-in without a download, IDX files
    of any set of grey pictures, such as MNIST or Fashion-MNIST (``train-images-idx3-ubyte.gz``,
    ``train-labels-idx1-ubyte.gz``, ``t10k-...``), with a black border up to 32 x 32 pixels.

    =====  =======  ======  =====================
    split  samples  tokens  most frequent classes
    =====  =======  ======  =====================
    train  45,000   1,024   10 % each
    val    5,000    1,024   10 % each
    test   10,000   1,024   10 % each
    =====  =======  ======  =====================

    Args:
        root: Folder of the files.
        split: ``"train"``, ``"val"`` or ``"test"``.
        patch: Continuous values of patches instead of tokens, see :class:`PictureDataset`.
        standardize: Whether each picture's values have mean 0 and standard deviation 1.
        source: Which files to read: ``"cifar10"``, ``"pickle"`` or ``"idx"``; by default those that
            exist.
        transform: Applied to each sample on access, as in PyG.

    Raises:
        FileNotFoundError: If there are no files.
        ValueError: If an option is unknown, or a file is damaged; the message names it.
    """

    task = "image"
    STATS: ClassVar[Mapping[str, int]] = {"train": 45000, "val": 5000, "test": 10000}
    ADDRESS = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
    class_names = _CIFAR

    def _choose(self, root: Path, source: str | None) -> tuple[str, list[Path]]:
        found = super()._choose(root, source)
        if found[0] == "idx":
            files = [find_idx(root, part) for part in ("train", "t10k")]
            largest = max(int(read_idx(pair[1], 1).max(initial=0)) for pair in files if pair)
            self.class_names = tuple(str(label) for label in range(largest + 1))
        return found

    @property
    def published_samples(self) -> int | None:
        return None if self.source == "idx" else super().published_samples

    def find_files(self, root: Path, split: str) -> Mapping[str, Sequence[Path]]:
        names = ["test_batch"] if split == "test" else [f"data_batch_{i}" for i in range(1, 6)]
        found = [locate_file(root, f"cifar-10-batches-bin/{name}.bin") for name in names]
        there = [file for file in found if file]
        if there and len(there) < len(names):
            raise FileNotFoundError(
                f"{there[0].parent}: expected {names[0]}.bin ... {names[-1]}.bin (got {len(there)} "
                f"of {len(names)}); unpack {self.ADDRESS} again"
            )
        return {"cifar10": there, "idx": find_idx(root, "t10k" if split == "test" else "train")}

    def missing(self, source: str | None) -> str:
        if source == "pickle":
            return f"no {self.pickle_name(self.split)} there"
        if source == "idx":
            return "no train-images-idx3-ubyte(.gz), train-labels-idx1-ubyte(.gz), t10k-... there"
        return (
            f"no cifar-10-batches-bin there; get it by Image.download from {self.ADDRESS}, or put "
            f"IDX files of other grey pictures there"
        )

    def read(self) -> Sequences:
        if self.source == "idx":
            pixels, labels = _bordered(self._files[0]), read_idx(self._files[1], 1)
            if len(pixels) != len(labels):
                raise ValueError(
                    f"{self._files[1]}: expected {len(pixels):,} labels (got {len(labels):,}); the "
                    f"files belong to different sets"
                )
        else:
            parts = [_read_cifar(file) for file in self._files]
            pixels, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
        offsets = np.arange(len(labels) + 1, dtype=np.int64) * _PIXELS
        return Sequences(pixels.ravel(), offsets, labels.astype(np.int64))

    def keep(self, found: Sequences) -> Sequences:
        if self.source == "pickle" or self.split == "test":
            if (np.diff(found.offsets) != _PIXELS).any():
                raise ValueError(f"{self._files[0]}: expected pictures of {_PIXELS} pixels")
            return found
        first = np.arange(len(found.labels)) < len(found.labels) * 9 // 10
        return found.select(first if self.split == "train" else ~first)

    @classmethod
    def download(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, root: str | Path, *, max_bytes: int = 2**30
    ) -> None:
        """Download CIFAR-10 (170 MB) and unpack it to ``root/cifar-10-batches-bin``.

        Args:
            root: Folder for ``cifar-10-batches-bin``.
            max_bytes: Limit of the unpacked size.
        """
        archive = Path(root, "cifar-10-binary.tar.gz")
        # The archive is removed last: without it the set is complete.
        if Path(root, "cifar-10-batches-bin").is_dir() and not archive.exists():
            return
        download_file(cls.ADDRESS, archive)
        extract_tar(archive, Path(root), max_bytes=max_bytes)
        archive.unlink()


def _read_cifar(path: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    size = path.stat().st_size
    if not size or size % _RECORD:
        raise ValueError(
            f"{path}: expected whole records of {_RECORD:,} bytes (got {size:,}); get it again"
        )
    records = np.fromfile(path, np.uint8).reshape(-1, _RECORD)
    colours = records[:, 1:].reshape(-1, 3, _PIXELS).astype(np.float32) / np.float32(255)
    grey = np.einsum("bcp,c->bp", colours, np.array([0.2989, 0.5870, 0.1140], np.float32))
    return (grey * np.float32(255.5)).astype(np.uint8), records[:, 0]


def _bordered(path: Path) -> NDArray[np.uint8]:
    images = read_idx(path, 3)
    _, height, width = images.shape
    if not (0 < height <= SIDE and 0 < width <= SIDE):
        raise ValueError(f"{path}: expected at most 32 x 32 pixels (got {height} x {width})")
    top, left = (SIDE - height) // 2, (SIDE - width) // 2
    found = np.zeros((len(images), SIDE, SIDE), np.uint8)
    found[:, top : top + height, left : left + width] = images
    return found.reshape(-1, _PIXELS)
