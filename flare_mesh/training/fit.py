"""Trains a surrogate of LPBF distortion from a folder of cases."""

import json
import logging
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from lightning import LightningModule, Trainer, seed_everything
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch.callbacks import Callback, RichProgressBar
from lightning.pytorch.loggers import CSVLogger
from torch.utils.data import Dataset
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader
from torch_geometric.transforms import Compose

from flare_mesh.data import atomic_path, check_folder
from flare_mesh.data.transforms import BuildFeatures, RandomNodes, RandomQuarterTurn
from flare_mesh.datasets import LPBF
from flare_mesh.models import FLAREOperator
from flare_mesh.surrogate import Surrogate
from flare_mesh.training.metrics import relative_l2
from flare_mesh.training.module import FieldModule
from lpbf.settings import read_settings


class _InMemory(Dataset):
    """Cases reduced to what training reads (pos, x, y), transformed on access."""

    def __init__(
        self, cases: Iterable[Any], transform: Callable[[Data], Data] | None = None
    ) -> None:
        self.cases = [Data(x=case.x, pos=case.pos, y=case.y) for case in cases]
        self.transform = transform

    def __len__(self) -> int:
        return len(self.cases)

    def __getitem__(self, index: int) -> Data:
        case = self.cases[index]
        return case if self.transform is None else self.transform(case.clone())


class _PrintProgress(Callback):
    """A line for each tenth of the epochs, where there is no terminal to draw a bar on."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        epochs, done = trainer.max_epochs or 1, trainer.current_epoch + 1
        if done == epochs or done % max(1, epochs // 10) == 0:
            loss = float(trainer.callback_metrics["train_loss"])
            print(f"epoch {done}/{epochs}: train loss {loss:.3f}", flush=True)


def fit(
    data: str | Path,
    out: str | Path,
    *,
    model: Mapping[str, Any] | None = None,
    targets: Sequence[str] = ("displacement", "von_mises"),
    epochs: int = 100,
    batch_size: int = 4,
    lr: float = 1e-3,
    weight_decay: float = 1e-5,
    nodes_per_part: int | None = None,
    augment: bool = True,
    seed: int = 0,
    callbacks: Sequence[Callback] = (),
) -> dict[str, Any]:
    """Trains on the ``train`` split of an LPBF data set, tests on ``test``, saves the surrogate.

    Keeps coordinates, features and targets of all cases in memory. ``out`` receives the
    surrogate, ``metrics.csv`` (the loss of each epoch) and ``metrics.json`` (what is returned).

    Args:
        data: Folder of the data set.
        out: Folder of the run.
        model: Options of :class:`~flare_mesh.FLAREOperator` beside the channels.
        targets: Fields to predict, as in :class:`~flare_mesh.datasets.LPBF`.
        epochs: Passes over the training split.
        batch_size: Parts a step.
        lr: Peak learning rate.
        weight_decay: Of AdamW.
        nodes_per_part: Nodes drawn at random from each part at each access; None for all.
        augment: Draws a random turn by 90 degrees or mirroring for each part and epoch. Right for
            an inherent strain that is equal in x and y; refused for another.
        seed: Of the weights, the order of the parts and the turns.
        callbacks: More callbacks for Lightning's trainer.

    Returns:
        ``test_relative_l2`` and ``mean_relative_l2`` (the error of predicting the training mean)
        by field, ``parameters``, ``epochs``, ``train_seconds``.

    Raises:
        FileNotFoundError: If a split is missing.
        ValueError: If an option does not fit.
    """
    if epochs < 1 or batch_size < 1:
        raise ValueError(f"expected epochs and batch size >= 1 (got {epochs} and {batch_size})")
    if not (lr > 0 and weight_decay >= 0):
        raise ValueError(f"expected lr > 0 and weight_decay >= 0 (got {lr} and {weight_decay})")
    check_folder(Path(out) / "metrics.json")
    seed_everything(seed, verbose=False)
    splits = {
        split: LPBF(data, split, targets=targets, transform=BuildFeatures())
        for split in ("train", "test")
    }
    info = read_settings(Path(data))
    exx, eyy = info.get("inherent_strain", (0.0, 0.0))[:2]
    if augment and (exx != eyy or "displacement" in targets[1:]):
        raise ValueError(
            f"augment needs an inherent strain that is equal in x and y (got {exx} and {eyy}) and "
            f"the displacement as first target (got {list(targets)}); switch it off"
        )
    transforms: list[Any] = []
    if nodes_per_part is not None:
        transforms.append(RandomNodes(nodes_per_part))
    if augment:
        vectors = {"pos": (0,), "x": BuildFeatures.VECTORS}
        if targets[0] == "displacement":
            vectors["y"] = (0,)
        transforms.append(RandomQuarterTurn(vectors))
    train = _InMemory(splits["train"], Compose(transforms))
    test = _InMemory(splits["test"])
    fields = splits["train"].target_channels
    for split, cases in (("train", train.cases), ("test", test.cases)):
        files = [splits[split].path(i) for i in range(len(cases))]
        _check_targets(cases, fields, files)

    operator = FLAREOperator(BuildFeatures.CHANNELS, sum(fields.values()), **(model or {}))
    surrogate = Surrogate(operator, fields, units=LPBF.UNITS, transform="build_features", info=info)
    surrogate.fit_normalizers(train.cases)

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    on_terminal = sys.stdout.isatty()
    trainer = Trainer(
        max_epochs=epochs,
        accelerator="auto",
        devices=1,
        gradient_clip_val=1.0,
        logger=CSVLogger(out, name="", version=""),
        enable_checkpointing=False,
        enable_model_summary=False,
        log_every_n_steps=1_000_000,
        enable_progress_bar=on_terminal,
        callbacks=[RichProgressBar() if on_terminal else _PrintProgress(), *callbacks],
    )
    # PyG's loader takes any data set, whatever its signature says.
    train_loader = DataLoader(train, batch_size, shuffle=True)  # pyright: ignore[reportArgumentType]
    test_loader = DataLoader(test, batch_size)  # pyright: ignore[reportArgumentType]
    module = FieldModule(surrogate, lr=lr, weight_decay=weight_decay)
    start = time.perf_counter()
    with warnings.catch_warnings():
        # Advice on loader workers: the cases are in memory already.
        warnings.simplefilter("ignore", PossibleUserWarning)
        # Between Lightning and torch.
        warnings.filterwarnings("ignore", message=".*treespec.*")
        trainer.fit(module, train_loader)
        seconds = time.perf_counter() - start
        trainer.test(module, test_loader, verbose=False)
    errors = {name: float(trainer.callback_metrics[f"test_relative_l2_{name}"]) for name in fields}
    metrics = {
        "test_relative_l2": errors,
        "mean_relative_l2": _errors_of_mean(surrogate, test.cases),
        "parameters": sum(p.numel() for p in operator.parameters()),
        "epochs": epochs,
        "train_seconds": seconds,
    }
    surrogate.cpu().save(out)
    with atomic_path(Path(out) / "metrics.json") as temporary:
        temporary.write_text(json.dumps(metrics, indent=2))
    return metrics


def _check_targets(cases: Sequence[Data], fields: Mapping[str, int], files: Sequence[Path]) -> None:
    """The relative error of a field that is zero everywhere does not exist."""
    for case, file in zip(cases, files, strict=True):
        assert isinstance(case.y, torch.Tensor)
        parts = case.y.split(list(fields.values()), dim=1)
        for name, part in zip(fields, parts, strict=True):
            if not bool(part.any()):
                raise ValueError(f"{file}: '{name}' is zero at every node; remove the case")


def _errors_of_mean(surrogate: Surrogate, cases: Sequence[Data]) -> dict[str, float]:
    """Error on the test cases of predicting the training mean everywhere."""
    channels = list(surrogate.fields.values())
    mean = surrogate.y_normalizer.mean.cpu()
    errors = []
    for case in cases:
        assert isinstance(case.y, torch.Tensor)
        errors.append(relative_l2(mean.expand_as(case.y), case.y, channels))
    return dict(zip(surrogate.fields, torch.cat(errors).mean(0).tolist(), strict=True))
