"""Lines about the scales of the fields, at the start of training."""

from typing import Any

from lightning import Trainer
from lightning.pytorch.callbacks import Callback

from flare_mesh.surrogate.scale_description import describe_scale


class ScaleReport(Callback):
    """Prints the scale of each field, such as ``displacement scales as load^1.00 ...``."""

    def on_fit_start(self, trainer: Trainer, pl_module: Any) -> None:
        scale = pl_module.surrogate.scale
        if scale is not None and trainer.is_global_zero:
            print("\n".join(describe_scale(scale)), flush=True)
