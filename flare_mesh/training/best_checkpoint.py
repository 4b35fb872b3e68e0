"""The checkpoint of the best epoch."""

from pathlib import Path
from typing import Any

from lightning import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint


class BestCheckpoint(ModelCheckpoint):
    """Keeps the epoch with the smallest error on the validation cases in one file.

    Unlike Lightning's, it goes on after its run's folder was moved or copied: paths in a checkpoint
    of this folder are taken as those of this folder. Of a checkpoint from elsewhere it takes
    nothing over: the best of another run is not the best of this one.

    Args:
        path: The file.
        monitor: What is compared.
    """

    def __init__(self, path: str | Path, monitor: str = "val_relative_l2") -> None:
        path = Path(path)
        super().__init__(
            path.parent,
            path.stem,
            monitor=monitor,
            save_on_train_epoch_end=True,
            enable_version_counter=False,
        )
        self._resumed: str | None = None

    def on_load_checkpoint(
        self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        self._resumed = None if trainer.ckpt_path is None else str(trainer.ckpt_path)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        assert self.dirpath is not None
        here = Path(self.dirpath)
        before, best = state_dict["dirpath"], state_dict["best_model_path"]
        moved = self._resumed is not None and Path(self._resumed).resolve().parent == here.resolve()
        if not best or not (moved or before == self.dirpath):
            return
        path = str(here / Path(best).name)
        if not Path(path).is_file():
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
