"""Data sets of the splits, opened when they are needed, and the division of the training split."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flare_mesh.data.splits import split_names
from flare_mesh.datasets import FieldDataset
from flare_mesh.datasets.registry import build, check_options
from flare_mesh.training.cases import case_names
from flare_mesh.training.seeding import seeded


class SplitDatasets:
    """The data sets of a run by split; training cases may be held out for validation.

    Args:
        name: Name of the data set, or an import path.
        root: Folder of the data set.
        options: Options of the data set by role, ``"train"`` and ``"test"``; validation cases that
            are a split of their own are read with the options of the test.
        splits: Name of the split of the stages ``"train"``, ``"val"`` and ``"test"``, None for
            none; or for ``"val"`` the share of the training cases to hold out.
        seed: Seed of random numbers that a data set draws when it fills a cache.

    Raises:
        ValueError: If the name or an option is unknown.
    """

    def __init__(
        self,
        name: str,
        root: Path,
        options: Mapping[str, Mapping[str, Any]],
        splits: Mapping[str, str | float | None],
        seed: int,
    ) -> None:
        for given in options.values():
            check_options(name, dict(given))
        self.name = name
        self.root = root
        self.options = options
        self.splits = splits
        self.seed = seed
        self._opened: dict[tuple[str, str], FieldDataset] = {}

    def put(self, split: str, dataset: FieldDataset) -> None:
        """Take an open data set for a split."""
        self._opened[split, _role(split)] = dataset

    def open(self, split: str, role: str) -> FieldDataset:
        """The data set of a split.

        Args:
            split: Name of the split.
            role: Whose options it has, ``"train"`` or ``"test"``.

        Raises:
            FileNotFoundError: If files are missing.
        """
        if (split, role) not in self._opened:
            try:
                # A data set may draw numbers when it fills a cache; the model's weights, which are
                # drawn afterwards, must not depend on that.
                with seeded(self.seed):
                    opened = build(self.name, self.root, split, **self.options[role])
            except FileNotFoundError as error:
                if self.root.is_absolute():
                    raise
                raise FileNotFoundError(
                    f"{error} (data.root is {self.root}, relative to {Path.cwd()})"
                ) from error
            self._opened[split, role] = opened
        return self._opened[split, role]

    def stage(self, stage: str) -> tuple[FieldDataset, list[int]]:
        """The data set of a stage, and the indices of its cases.

        Args:
            stage: ``"train"``, ``"val"`` or ``"test"``.

        Raises:
            FileNotFoundError: If files are missing.
            ValueError: If there is no such split, or the share to hold out leaves no cases.
        """
        split, train_split, share = (self.splits[key] for key in (stage, "train", "val"))
        if split is None:
            raise ValueError(f"data.{stage}_split is not set; set it to the name of a split")
        assert isinstance(train_split, str)
        if isinstance(split, str) and (stage != "train" or not isinstance(share, float)):
            dataset = self.open(split, _role(stage))
            return dataset, list(range(len(dataset)))
        assert isinstance(share, float)
        dataset = self.open(train_split, "train")
        names = case_names(dataset, range(len(dataset)))
        if getattr(dataset, "window", None) is not None:
            # The windows of one time series must not be divided.
            names = [re.sub(r"_t\d+$", "", name) for name in names]
        chosen = set(split_names([*{*names}], stage, {"train": 1 - share, "val": share}))
        found = [i for i, case in enumerate(names) if case in chosen]
        if not found:
            raise ValueError(
                f"data.val_split: a share of {share} of {len(names)} cases leaves no {stage} "
                f"cases; choose another share, or add cases"
            )
        return dataset, found


def _role(stage: str) -> str:
    return "train" if stage == "train" else "test"
