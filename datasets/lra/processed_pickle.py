"""Pickles of token ids, as Nystromformer's and Skyformer's programs write them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.datasets.lra.plain_pickle import PickledArray, read_plain_pickle
from flare_mesh.datasets.lra.sequences import Sequences


def read_processed(
    path: Path, *, documents: int, first_id: int, vocabulary_size: int, max_length: int | None
) -> Sequences:
    """Read a list of dictionaries with ``input_ids_0`` (``input_ids_1``) and ``label``.

    Args:
        path: The pickle; it is not executed.
        documents: Documents of a sample.
        first_id: Smallest id; if it is 1, zeros at the end of a document are padding.
        vocabulary_size: Ids, 0 included.
        max_length: Length that documents are cut to, if any.

    Raises:
        ValueError: If the file is damaged, or holds something else.
    """
    rows, size = read_plain_pickle(path), path.stat().st_size
    if type(rows) is not list:
        raise ValueError(f"{path}: expected a list of samples (got {type(rows).__name__})")
    names = [f"input_ids_{i}" for i in range(documents)]
    parts, labels, total = [], [], 0
    for number, row in enumerate(rows):
        place = f"{path}, sample {number}"
        missing = [n for n in (*names, "label") if type(row) is not dict or n not in row]
        if missing:
            raise ValueError(f"{place}: no '{missing[0]}'; expected {[*names, 'label']}")
        label = _integers(f"{place}, 'label'", row["label"]).ravel()
        if label.size != 1:
            raise ValueError(f"{place}: expected one label (got {label.size})")
        labels.append(int(label[0]))
        for name in names:
            ids = _integers(f"{place}, '{name}'", row[name]).ravel()
            if first_id:
                ids = ids[: int(np.flatnonzero(ids)[-1]) + 1] if ids.any() else ids[:0]
            ids = ids[:max_length]
            if ids.size and not (first_id <= ids.min() and ids.max() < vocabulary_size):
                raise ValueError(
                    f"{place}, '{name}': expected ids from {first_id} to {vocabulary_size - 1} "
                    f"(got {ids.min()} to {ids.max()}); the file is of another task or vocabulary"
                )
            total += ids.size
            if total > size:  # each token of a whole file takes a byte or more
                raise ValueError(f"{place}: the file repeats its arrays; get it again")
            parts.append((ids - first_id).astype(np.uint8))
    return Sequences.join(parts, labels)


def _integers(place: str, value: Any) -> NDArray[Any]:
    if type(value) is PickledArray and value.values is not None:
        if value.values.dtype.kind in "iub":
            return value.values.astype(np.int64)
    elif type(value) is int or (type(value) is list and all(type(one) is int for one in value)):
        try:
            return np.array(value, np.int64)
        except OverflowError:
            pass
    raise ValueError(f"{place}: expected whole numbers; get the file again")
