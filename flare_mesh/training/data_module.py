"""Lightning data module: the splits of a data set in batches."""

import hashlib
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch

from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.data.transforms import RandomNodes
from flare_mesh.data.transforms.resolver import TransformSpec, build_transforms
from flare_mesh.datasets import FieldDataset
from flare_mesh.datasets.wrapped_dataset import wrap_dataset
from flare_mesh.surrogate.case_size import varies
from flare_mesh.training.case_loader import CaseLoader
from flare_mesh.training.case_sampler import CaseSampler
from flare_mesh.training.cases import Cases
from flare_mesh.training.feature_cache import FeatureCache, is_random
from flare_mesh.training.sizes import choose_batch, choose_sample
from flare_mesh.training.split_data_module import SplitDataModule
from flare_mesh.training.split_datasets import SplitDatasets


class FieldDataModule(SplitDataModule):
    """Training, validation and test cases of a data set by name, or of a folder of meshes.

    Args:
        name: One of :data:`flare_mesh.datasets.registry.DATASETS`; ``mesh_folder`` for your own
            files; or package.module:Class for any data set of PyG data, with --trust-code.
        root: Folder of the data set.
        options: Options of the data set, such as ``inputs`` and ``targets``.
        train_options: More options for the training split, such as a shorter window.
        test_options: More options for validation and test.
        train_split: Name of the training split.
        val_split: Name of the split to validate on after each epoch, or the share of the training
            cases to hold out for it (chosen by a checksum of their names; a time series is held out
            as a whole); none by default.
        test_split: Name of the split to test on, or none.
        features: Transforms that make the model's input from a mesh, in training and prediction.
        augment: Random transforms of training cases, after ``features``.
        sample_nodes: Number of nodes that are drawn from each training case at each step, before
            ``augment``, by quadrature weight where cases have one and else with equal
            probabilities; ``"auto"`` for a number that fits the sizes of the cases; None for all.
        in_memory: Cache all cases in memory once they are read.
        batch_size: Number of cases in a batch, per device; ``"auto"`` for a number that fits the
            number of cases and their sizes.
        max_nodes: Largest number of nodes in a batch, per device, instead of ``batch_size``, for
            meshes of unequal size. All training cases are read once for their sizes.
        num_workers: Number of processes that read cases, per device.
        drop_last: Leave out a last training batch that is not full.
        epoch_batches: Number of training batches of an epoch, after which there is a validation and
            a checkpoint; one pass over the cases by default. With a time budget, ``fit`` chooses
            it. Epochs continue with the cases where the one before ended.
        seed: Seed of the order of the cases and of ``augment``; the run's by default.

    Attributes:
        edges: Whether batches have edges; set by the training module.
        shards: Number of consecutive processes that get the same cases; set by the training module.
    """

    def __init__(
        self,
        name: str = "mesh_folder",
        root: str = ".",
        *,
        options: dict[str, Any] | None = None,
        train_options: dict[str, Any] | None = None,
        test_options: dict[str, Any] | None = None,
        train_split: str = "train",
        val_split: float | str | None = None,
        test_split: str | None = "test",
        features: list[Any] | None = None,
        augment: list[Any] | None = None,
        sample_nodes: int | Literal["auto"] | None = None,
        in_memory: bool = False,
        batch_size: int | Literal["auto"] = 1,
        max_nodes: int | None = None,
        num_workers: int = 0,
        drop_last: bool = False,
        epoch_batches: int | None = None,
        seed: int | None = None,
    ) -> None:
        if isinstance(val_split, int | float):
            val_split = float(val_split)
            if not 0 < val_split < 1:
                raise ValueError(
                    f"data.val_split: expected a share between 0 and 1 (got {val_split})"
                )
            if (train_options or {}) != (test_options or {}):
                raise ValueError(
                    "data.val_split: a share of the training cases cannot have other options than "
                    "they have; name a split, or leave out train_options and test_options"
                )
        _check_sample(sample_nodes, augment or [])
        if batch_size == "auto" and max_nodes is not None:
            raise ValueError(
                f"data.batch_size: expected a number or data.max_nodes (got 'auto' and max_nodes="
                f"{max_nodes}); leave out one"
            )
        try:
            CaseSampler(
                [],
                batch_size=1 if batch_size == "auto" else batch_size,
                max_nodes=max_nodes,
                drop_last=drop_last,
                epoch_batches=epoch_batches,
            )
        except ValueError as error:
            raise ValueError(f"data: {error}") from error
        super().__init__(
            {"train": train_split, "val": val_split, "test": test_split},
            num_workers=num_workers,
            drop_last=drop_last,
            epoch_batches=epoch_batches,
            seed=seed,
        )
        self.root = Path(root)
        self.options = {
            "train": {**(options or {}), **(train_options or {})},
            "test": {**(options or {}), **(test_options or {})},
        }
        self.features: Sequence[TransformSpec] = features or []
        self._make_features = build_transforms(self.features)
        self.augment: Sequence[TransformSpec] = augment or []
        self._augment = build_transforms(self.augment)
        self.sample_nodes: int | Literal["auto"] | None = sample_nodes
        self.in_memory = in_memory
        self.batch_size: int | Literal["auto"] = batch_size
        self.max_nodes = max_nodes
        self.edges = False
        self.shards = 1
        self._datasets = SplitDatasets(name, self.root, self.options, self.splits, self.seed)
        self._cases: dict[str, Cases] = {}

    @classmethod
    def from_cases(
        cls,
        train: Any,
        val: Any = None,
        test: Any = None,
        *,
        targets: Mapping[str, int] | None = None,
        inputs: Mapping[str, int] | None = None,
        units: Mapping[str, str] | None = None,
        **options: Any,
    ) -> "FieldDataModule":
        """The cases of data sets that are given as objects.

        Args:
            train: Training cases: any PyG data set, or a list of ``Data``, with ``pos``, ``y`` and
                optional ``x``, see :class:`~flare_mesh.datasets.WrappedDataset`.
            val: Validation cases, or the share of the training cases to hold out for them; none by
                default.
            test: Test cases; none by default.
            targets: Channels of each field in ``y``, by name, in order; by default one field ``y``.
            inputs: Channels of each field in ``x``, by name, in order; by default one field ``x``.
            units: Unit of each field.
            options: Other options of this class, such as ``batch_size`` and ``features``.

        Raises:
            ValueError: If a case lacks ``pos`` or ``y``, or the channels differ.
        """
        share = val if isinstance(val, int | float) else None
        splits = {
            "val_split": "val" if val is not None and share is None else share,
            "test_split": None if test is None else "test",
        }
        module = cls(**splits, **options)
        fields: dict[str, Any] = {"targets": targets, "inputs": inputs, "units": units}
        for split, dataset in (("train", train), ("val", val), ("test", test)):
            if dataset is not None and dataset is not share:
                opened = wrap_dataset(dataset, name=f"{split} cases", **fields)
                module._datasets.put(split, opened)
        return module

    # Lightning's text opens all loaders, and the parser asks for it before the model is known.
    def __str__(self) -> str:
        return f"{type(self).__name__}({self._datasets.name}, {self.root})"

    def cases(self, stage: str) -> Cases:
        """Cases for ``"train"``, ``"val"`` or ``"test"``; opens their files at the first call.

        Raises:
            FileNotFoundError: If the split's files are missing.
            ValueError: If there is no such split, or its fields differ from the training cases'.
        """
        if stage not in self._cases:
            dataset, indices = self._datasets.stage(stage)
            self._cases[stage] = Cases(
                dataset,
                indices,
                features=self._cached_features(dataset),
                in_memory=self.in_memory,
            )
            self._check_fields(stage, dataset)
        self._cases[stage].edges = self.edges
        return self._cases[stage]

    def _cached_features(self, dataset: FieldDataset) -> Callable[[Any], Any] | None:
        """The features, from files where the data set has a folder for them."""
        folder, transform = dataset.feature_folder, self._make_features
        if folder is None or transform is None or is_random(self.features):
            return transform
        return FeatureCache(transform, self.features, folder)

    def _check_fields(self, stage: str, dataset: FieldDataset) -> None:
        """Refuse cases whose fields differ from the training cases', if those are open."""
        if "train" not in self._cases or getattr(dataset, "window", None) is not None:
            return
        ours = self._cases["train"].dataset
        for role, a, b in (
            ("inputs", ours.input_channels, dataset.input_channels),
            ("targets", ours.target_channels, dataset.target_channels),
        ):
            if [*a.items()] != [*b.items()]:
                raise ValueError(
                    f"data: the {role} are {dict(b)} in the {stage} cases and {dict(a)} in the "
                    f"training cases; set the same for both by data.options"
                )

    def recipe(self) -> CaseRecipe:
        """How the training cases were read; dimensions and channels are those of the first case.

        Raises:
            FileNotFoundError: If files are missing.
        """
        cases = self.cases("train")
        first = cases[0]
        pos, x = first.pos, first.x
        assert isinstance(pos, torch.Tensor)
        return replace(
            cases.dataset.recipe(),
            pos_dim=pos.shape[1],
            in_channels=0 if x is None else x.shape[1],
            features=self.features,
        )

    def case_ids(self) -> dict[str, list[str]]:
        """Names of the cases of every split that is open."""
        return {stage: cases.case_ids for stage, cases in self._cases.items()}

    def describe_splits(self) -> dict[str, Any]:
        """Names of the cases of each split, their number, and a checksum to compare them by."""
        return {
            stage: {
                "count": len(ids),
                "sha256": hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest(),
                "cases": list(ids),
            }
            for stage, ids in self.case_ids().items()
        }

    def case_sizes(self, count: int | None = None) -> list[int]:
        """Number of nodes of each training case, or of the first ``count``; they are read."""
        cases = self.cases("train")
        read = range(len(cases) if count is None else min(count, len(cases)))
        return [len(cases[i].pos) for i in read]  # pyright: ignore[reportArgumentType]

    def resolve(self) -> tuple[int, int | None]:
        """Choose ``batch_size`` and ``sample_nodes`` where they are ``"auto"``.

        Returns:
            Both as numbers.
        """
        batch, sample = self.batch_size, self.sample_nodes
        if batch == "auto" or sample == "auto":
            sizes = self.case_sizes()
            if sample == "auto":
                # Drawn nodes have no edges.
                sample = None
                if not self.edges:
                    sample = choose_sample(sizes, has_fields=self._has_fields())
            if batch == "auto":
                batch = choose_batch(sizes, sample)
            self.batch_size, self.sample_nodes = batch, sample
        return batch, sample

    def _has_fields(self) -> bool:
        """Whether an input, other than a feature, varies over the nodes of the first case."""
        count, x = sum(self.recipe().model_inputs.values()), self.cases("train")[0].x
        if x is None or not count:
            return False
        low, high = torch.aminmax(x[:, :count], dim=0)
        return bool(varies(low, high).any())

    def _draw(self, cases: Cases, sample: int | None) -> RandomNodes | None:
        """Choice of the nodes of a training case at each step."""
        if sample is None:
            return None
        if self.edges:
            raise ValueError(
                f"data.sample_nodes: drawn nodes have no edges, which the model needs (got "
                f"{sample}); leave it out"
            )
        return RandomNodes(sample, by="weight" if "weight" in cases[0] else "uniform")

    def _loader(self, stage: str, epoch_batches: int | None = None) -> CaseLoader:
        cases, training = self.cases(stage), stage == "train"
        batch_size, sample = self.resolve()
        if training:
            cases.draw, cases.augment = self._draw(cases, sample), self._augment
        elif sample is not None:
            batch_size = 1  # of whole cases, which may be much larger than the drawn nodes
        sizes = [0] * len(cases)
        if self.max_nodes is not None and training:
            sizes = self.case_sizes()
            if sample is not None:
                sizes = [min(size, sample) for size in sizes]
            large = sum(size > self.max_nodes for size in sizes)
            if large:
                warnings.warn(
                    f"{large} of {len(sizes)} training cases have more nodes than data.max_nodes, "
                    f"{self.max_nodes}; each is a batch by itself",
                    stacklevel=2,
                )
        rank, world = self.processes()
        sampler = CaseSampler(
            sizes,
            batch_size=batch_size,
            max_nodes=self.max_nodes if training else None,
            shuffle=training,
            mean=training,
            seed=self.seed,
            rank=rank // self.shards,
            world_size=world // self.shards,
            drop_last=self.drop_last and training,
            epoch_batches=epoch_batches if training else None,
        )
        return self.make_loader(cases, sampler)


def _check_sample(sample: int | str | None, augment: Sequence[Any]) -> None:
    if isinstance(sample, int) and sample < 1:
        raise ValueError(f"data.sample_nodes: expected at least 1 (got {sample})")
    names = [spec if isinstance(spec, str) else next(iter(spec), None) for spec in augment]
    if sample is not None and "random_nodes" in names:
        raise ValueError(
            f"data.sample_nodes: data.augment draws nodes too (got sample_nodes={sample} and "
            f"random_nodes); leave out one"
        )
