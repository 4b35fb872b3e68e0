"""Checkpoint of the best epoch."""

from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


class BestCheckpoint(ModelCheckpoint):
    """Checkpoint of the best epoch on the validation cases, in one file.

    Unlike Lightning's callback, it can be resumed after the run's folder was moved or copied: paths
    in a checkpoint from this folder are replaced by paths in this folder. A checkpoint from another
    folder belongs to another run, whose best epoch is ignored.

    Args:
        path: The file.
        monitor: Name of the metric to compare.
        mode: ``"min"`` if the smallest is the best, or ``"max"``.
    """

    def __init__(
        self, path: str | Path, monitor: str = "val_relative_l2", mode: str = "min"
    ) -> None:
        path = Path(path)
        super().__init__(
            path.parent,
            path.stem,
            monitor=monitor,
            mode=mode,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        self._resumed_from: str | None = None

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._resumed_from = None if trainer.ckpt_path is None else str(trainer.ckpt_path)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        assert self.dirpath is not None
        here = Path(self.dirpath).resolve()
        resumed = self._resumed_from
        same_run = state_dict["dirpath"] == self.dirpath or (
            resumed is not None and Path(resumed).resolve().parent == here
        )
        best = state_dict["best_model_path"]
        path = str(Path(self.dirpath) / Path(best).name)
        if not best or not same_run or not Path(path).is_file():
            return
        super().load_state_dict(
            {
                **state_dict,
                "dirpath": self.dirpath,
                "best_model_path": path,
                "kth_best_model_path": path,
                "best_k_models": {path: state_dict["best_model_score"]},
                "last_model_path": "",
            }
        )
