"""Pathfinder: are two markers at the ends of the same dashed curve?"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from PIL import Image

from flare_mesh.choices import clip
from flare_mesh.datasets.field_dataset import locate_file
from flare_mesh.datasets.lra.picture_dataset import SIDE, PictureDataset
from flare_mesh.datasets.lra.release import RELEASE, missing_release
from flare_mesh.datasets.lra.sequences import Sequences
from flare_mesh.datasets.pathfinder_folders import CONTOUR_FOLDERS

_SHARES = {"train": (0, 80), "val": (80, 90), "test": (90, 100)}
_MAX_BYTES = 1 << 16  # of an image's file


class Pathfinder(PictureDataset):
    """Images of 32 x 32 pixels with two long dashed curves, two markers and distractors.

    The class is 1 if the markers are at both ends of the same curve. The pixels follow each other
    row by row; a token is the grey value, 0 to 255, of which 0 is a black pixel and no padding.
    Linsley et al. (arXiv 1805.08315), Long Range Arena (arXiv 2011.04006).

    Files: ``lra_release/lra_release/pathfinder32/curv_contour_length_14/`` with
    ``imgs/<i>/sample_<j>.png`` and ``metadata/<i>.npy``, which are text in spite of their name;
    ``python -m flare_mesh.datasets.generate pathfinder`` makes them. An image of which the file is
    empty, as one of the release is, is left out.

    The first 80 % of the images in the order of ``metadata`` are for training, the next 10 % for
    validation, the last 10 % for the test. The shares are those of the original, whose order
    depends on TensorFlow; that of other programs is random. Processed pickles
    (``lra-pathfinder32-curv_contour_length_14.{train,dev,test}.pickle``) have splits of their own.

    =====  =======  ======  =======
    split  samples  tokens  label 1
    =====  =======  ======  =======
    train  160,000  1,024   50 %
    val    20,000   1,024   50 %
    test   20,000   1,024   50 %
    =====  =======  ======  =======

    Args:
        root: Folder of the files, or any folder on the path to ``metadata``.
        split: ``"train"``, ``"val"`` or ``"test"``.
        contour_length: Dashes of a curve: 14, 9, 6, or 3, which only the generator has.
        patch: Continuous values of patches instead of tokens, see :class:`PictureDataset`.
        standardize: Whether each picture's values have mean 0 and standard deviation 1.
        source: Which files to read: ``"release"`` or ``"pickle"``; by default those that exist.
        transform: Applied to each sample on access, as in PyG.

    Raises:
        FileNotFoundError: If there are no files.
        ValueError: If an option is unknown, or a file is damaged; the message names it.
    """

    task = "pathfinder"
    STATS: ClassVar[Mapping[str, int]] = {"train": 160000, "val": 20000, "test": 20000}
    ADDRESS = RELEASE
    class_names = ("different curves", "same curve")

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        contour_length: int = 14,
        patch: int | None = None,
        standardize: bool = False,
        source: str | None = None,
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if contour_length not in CONTOUR_FOLDERS:
            raise ValueError(
                f"Pathfinder: expected contour_length 3, 6, 9 or 14 (got {contour_length})"
            )
        self.contour_length = contour_length
        super().__init__(
            root,
            split,
            patch=patch,
            standardize=standardize,
            source=source,
            transform=transform,
        )

    @property
    def cache_name(self) -> str:
        return f"{super().cache_name}_{self.contour_length}"

    def find_files(self, root: Path, split: str) -> Mapping[str, Sequence[Path]]:
        folder = CONTOUR_FOLDERS[self.contour_length]
        found = locate_file(root, f"lra_release/lra_release/pathfinder32/{folder}/metadata")
        files = [] if found is None else [one for one in found.glob("*.npy") if one.stem.isdigit()]
        return {"release": sorted(files, key=lambda one: int(one.stem))}

    def pickle_name(self, split: str) -> str:
        return (
            super()
            .pickle_name(split)
            .replace(self.task, f"pathfinder32-{CONTOUR_FOLDERS[self.contour_length]}")
        )

    def missing(self, source: str | None) -> str:
        if source == "pickle":
            return f"no {self.pickle_name(self.split)} there"
        folder = CONTOUR_FOLDERS[self.contour_length]
        return missing_release(f"pathfinder32/{folder}/metadata", "pathfinder")

    def read(self) -> Sequences:
        rows = [row for file in self._files for row in _read_labels(file)]
        start, stop = (len(rows) * share // 100 for share in _SHARES[self.split])
        kept = rows[start:stop]
        tokens = np.empty((len(kept), SIDE**2), np.uint8)
        for i, (path, _) in enumerate(kept):
            tokens[i] = _read_image(path).ravel()
        offsets = np.arange(len(kept) + 1, dtype=np.int64) * SIDE**2
        return Sequences(tokens.ravel(), offsets, np.array([label for _, label in kept], np.int64))


def _read_labels(file: Path) -> list[tuple[Path, int]]:
    """Path and label of each image of a folder, without images of which the file is empty."""
    found = []
    for number, line in enumerate(file.read_bytes().splitlines(keepends=True), start=1):
        words = line.decode("utf-8", "replace").split()
        if line.startswith(b"\x93NUMPY"):
            raise ValueError(
                f"{file}, line {number}: expected lines of text, as in the release (got a NumPy "
                f"array); write its rows as text"
            )
        if len(words) < 5 or not line.endswith(b"\n"):
            raise ValueError(f"{file}, line {number}: the file ends within it; get the file again")
        folder, name, _, label, *_ = words
        if folder != f"imgs/{file.stem}" or Path(name).name != name or label not in ("0", "1"):
            raise ValueError(
                f"{file}, line {number}: expected 'imgs/{file.stem} <name>.png <number> <0 or 1>' "
                f"(got '{clip(' '.join(words[:4]), 80)}'); get the file again"
            )
        path = file.parent.parent / folder / name
        try:
            size = path.stat().st_size
        except FileNotFoundError:
            raise FileNotFoundError(f"{path}: no such file; get the images of {file}") from None
        if size > _MAX_BYTES:
            raise ValueError(f"{path}: expected an image of at most 64 KiB (got {size:,} bytes)")
        if size:
            found.append((path, int(label)))
    return found


def _read_image(path: Path) -> np.ndarray:
    try:
        with Image.open(path, formats=["PNG"]) as image:
            size, mode = image.size, image.mode
            pixels = np.asarray(image) if size == (SIDE, SIDE) and mode == "L" else None
    except (OSError, SyntaxError, ValueError, EOFError) as error:
        raise ValueError(f"{path}: not a whole PNG file; get it again") from error
    if pixels is None:
        raise ValueError(
            f"{path}: expected {SIDE} x {SIDE} grey pixels of 8 bits (got {size[0]} x {size[1]}, "
            f"mode {mode})"
        )
    return pixels
