import shutil
from pathlib import Path

import pytest
import torch
from lightning import LightningModule, Trainer
from torch.utils.data import DataLoader

from flare_mesh.training.best_checkpoint import BestCheckpoint


class Errors(LightningModule):
    """Logs given errors, one an epoch."""

    def __init__(self, errors):
        super().__init__()
        self.errors, self.weight = errors, torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch, index):
        return (self.weight * batch).sum()

    def on_train_epoch_end(self):
        self.log("val_relative_l2", torch.tensor(self.errors[self.current_epoch]))

    def configure_optimizers(self):
        return torch.optim.SGD(self.parameters(), 0.1)


def fit(folder, errors, resume=None):
    best = BestCheckpoint(folder / "best.ckpt")
    trainer = Trainer(max_epochs=len(errors), accelerator="cpu", logger=False, callbacks=[best],
                      enable_progress_bar=False, enable_model_summary=False)  # fmt: skip
    trainer.fit(Errors(errors), DataLoader(torch.ones(2), batch_size=1), ckpt_path=resume)
    trainer.save_checkpoint(folder / "last.ckpt")
    return best


def epoch_of(path):
    return torch.load(path, weights_only=True)["epoch"]


@pytest.mark.filterwarnings("ignore")
def test_a_moved_run_still_finds_its_best_epoch(tmp_path):
    before, after = tmp_path / "before", tmp_path / "after"
    assert epoch_of(fit(before, [3.0, 1.0, 2.0]).best_model_path) == 1
    shutil.move(before, after)
    # Worse than the best: it stays.
    best = fit(after, [3.0, 1.0, 2.0, 1.5], after / "last.ckpt")
    assert Path(best.best_model_path) == after / "best.ckpt"
    assert epoch_of(best.best_model_path) == 1
    assert float(best.best_model_score) == 1
    best = fit(after, [3.0, 1.0, 2.0, 1.5, 0.5], after / "last.ckpt")
    assert epoch_of(best.best_model_path) == 4
    assert sorted(path.name for path in after.iterdir()) == ["best.ckpt", "last.ckpt"]


@pytest.mark.filterwarnings("ignore")
def test_the_best_epoch_of_another_run_is_ignored(tmp_path):
    fit(tmp_path / "other", [1.0])
    best = fit(tmp_path / "run", [1.0, 2.0], tmp_path / "other" / "last.ckpt")
    assert epoch_of(best.best_model_path) == 1
    assert float(best.best_model_score) == 2
    assert epoch_of(tmp_path / "other" / "best.ckpt") == 0


def test_a_best_checkpoint_that_was_deleted_is_ignored(tmp_path):
    best = BestCheckpoint(tmp_path / "best.ckpt")
    best._resumed_from = str(tmp_path / "last.ckpt")
    state = {"dirpath": "/elsewhere", "best_model_path": "/elsewhere/best.ckpt",
             "best_model_score": torch.tensor(1.0), "kth_value": torch.tensor(1.0)}  # fmt: skip
    best.load_state_dict(state)
    assert best.best_model_path == ""
    assert best.best_model_score is None
