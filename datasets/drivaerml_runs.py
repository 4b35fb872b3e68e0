"""Which runs of DrivAerML are for training and which for testing."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from flare_mesh.datasets.field_dataset import find_file

# Never published: held back by the authors.
_HIDDEN = {167, 211, 218, 221, 248, 282, 291, 295, 316, 325, 329, 364, 370, 376, 403, 473}
# fmt: off
_VAL = {
    4, 22, 56, 109, 150, 165, 177, 191, 228, 234, 241, 247, 252, 253, 260, 271, 275, 298, 303, 311,
    321, 324, 328, 341, 352, 366, 380, 390, 401, 423, 441, 447, 454, 487,
}
_TEST = {
    11, 12, 19, 20, 24, 26, 29, 41, 55, 59, 108, 124, 127, 133, 142, 158, 173, 180, 187, 188, 197,
    199, 203, 205, 207, 208, 210, 215, 222, 226, 258, 263, 280, 284, 290, 322, 337, 350, 354, 363,
    372, 382, 387, 405, 410, 424, 428, 429, 436, 472,
}
# fmt: on
ABUPT = {
    "train": set(range(1, 501)) - _HIDDEN - _VAL - _TEST,
    "val": _VAL,
    "test": _TEST,
}
"""The runs of each split of the convention ``"abupt"``."""


def runs_of(paths: Iterable[Path]) -> dict[int, Path]:
    """Files by the number of their run."""
    found = {}
    for path in sorted(paths):
        match = re.fullmatch(r"(?:run|boundary)_(\d{1,6})", path.stem)
        if match:
            found[int(match[1])] = path
    return found


def listed_runs(root: Path, split: str, address: str) -> set[int]:
    """The runs of a split of the convention ``"flare"``, as a file in ``root`` lists them.

    Args:
        root: Folder with ``train_test_splits.json``.
        split: ``"train"`` or ``"test"``.
        address: Where the lists can be taken from.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it does not list numbers.
    """
    try:
        path = find_file(root, "train_test_splits.json", address)
    except FileNotFoundError as error:
        raise FileNotFoundError(
            f"{root}: no train_test_splits.json, which tells the runs of convention 'flare'; list "
            f"the names in the folders train and test of the sample from {address} there, or use "
            f"convention='abupt'"
        ) from error
    try:
        runs = json.loads(path.read_text(encoding="utf-8"))[split]
        return {int(run) for run in runs}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(
            f"{path}: expected lists of the runs' numbers under 'train' and 'test' ({error})"
        ) from error
