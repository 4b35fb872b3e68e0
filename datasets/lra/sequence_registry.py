"""Registry of the data sets of sequences, for configurations and the command line."""

import inspect
from importlib import import_module
from pathlib import Path
from typing import Any

from flare_mesh import choices
from flare_mesh.datasets.lra.sequence_dataset import SequenceDataset

SEQUENCE_DATASETS = {
    "lra_listops": "ListOps",
    "lra_text": "Text",
    "lra_retrieval": "Retrieval",
    "lra_image": "Image",
    "lra_pathfinder": "Pathfinder",
}
"""Class of each data set of sequences, by name."""


def open_sequences(
    name: str, root: str | Path, split: str = "train", **options: Any
) -> SequenceDataset:
    """Open a split of a data set of sequences.

    Args:
        name: One of :data:`SEQUENCE_DATASETS`.
        root: Folder of the files.
        split: ``"train"``, ``"val"`` or ``"test"``.
        options: Other options of its class.

    Raises:
        FileNotFoundError: If its files are missing.
        ValueError: If the name or an option is unknown, or the files are damaged.
    """
    choices.check_choice("unknown data set of sequences", name, SEQUENCE_DATASETS)
    found: Any = getattr(import_module("flare_mesh.datasets.lra"), SEQUENCE_DATASETS[name])
    known = inspect.signature(found).parameters.keys() - {"root", "split"}
    choices.check_options(f"the data set '{name}'", options, known)
    return found(root, split, **options)
