"""Training on Lightning: data module, module, losses, optimisers, and what a run leaves behind."""

from flare_mesh.training.build import build_module
from flare_mesh.training.data_module import FieldDataModule
from flare_mesh.training.description import DataDescription
from flare_mesh.training.losses import FieldLoss, LossConfig
from flare_mesh.training.metrics import relative_l2
from flare_mesh.training.module import FieldModule
from flare_mesh.training.optimizers import OptimizerConfig, build_optimizer
from flare_mesh.training.schedules import ScheduleConfig, build_schedule
from flare_mesh.training.unroll import RolloutConfig

__all__ = [
    "DataDescription",
    "FieldDataModule",
    "FieldLoss",
    "FieldModule",
    "LossConfig",
    "OptimizerConfig",
    "RolloutConfig",
    "ScheduleConfig",
    "build_module",
    "build_optimizer",
    "build_schedule",
    "relative_l2",
]
