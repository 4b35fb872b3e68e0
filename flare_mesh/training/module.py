"""The training step, as a Lightning module."""

from typing import Any

import torch
from lightning import LightningModule
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.surrogate import Surrogate
from flare_mesh.training.metrics import relative_l2


class FieldModule(LightningModule):
    """Trains a :class:`~flare_mesh.surrogate.Surrogate` on cases with a target ``y``.

    Loss: the mean over graphs and fields of the relative L2 error in physical units. AdamW with a
    one-cycle learning rate (cosine, 10 % warm-up), as published for FLARE (arXiv 2508.12594).

    Args:
        surrogate: The model with its fitted normalisers.
        lr: Peak learning rate.
        weight_decay: Of AdamW.
    """

    def __init__(
        self, surrogate: Surrogate, *, lr: float = 1e-3, weight_decay: float = 1e-5
    ) -> None:
        super().__init__()
        self.surrogate = surrogate
        self.lr = lr
        self.weight_decay = weight_decay

    def errors(self, batch: Data) -> Tensor:
        """Relative L2 error of each graph and field, [B, F]."""
        assert isinstance(batch.y, Tensor)
        channels = list(self.surrogate.fields.values())
        return relative_l2(self.surrogate(batch), batch.y, channels, batch.batch)

    def training_step(self, batch: Data) -> Tensor:
        """The loss of a batch."""
        loss = self.errors(batch).mean()
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=1, prog_bar=True)
        return loss

    def test_step(self, batch: Data) -> None:
        """Logs each field's mean error over the graphs."""
        errors = self.errors(batch)
        for name, column in zip(self.surrogate.fields, errors.T, strict=True):
            self.log(f"test_relative_l2_{name}", column.mean(), batch_size=len(column))

    def configure_optimizers(self) -> Any:
        """AdamW and the one-cycle schedule over all steps of the run."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        # OneCycleLR divides by the warm-up's steps less one.
        steps = max(4, int(self.trainer.estimated_stepping_batches))
        scheduler = torch.optim.lr_scheduler.OneCycleLR(
            optimizer,
            max_lr=self.lr,
            total_steps=steps,
            pct_start=max(0.1, 2 / steps),
        )
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }
