"""Training on Lightning: data module, module, losses, optimisers, and what a run leaves behind."""

from typing import TYPE_CHECKING

from flare_mesh.lazy import lazy_names

if TYPE_CHECKING:
    from flare_mesh.training.build import build_module
    from flare_mesh.training.data_module import FieldDataModule
    from flare_mesh.training.description import DataDescription
    from flare_mesh.training.losses import FieldLoss, LossConfig
    from flare_mesh.training.metrics import relative_l2
    from flare_mesh.training.module import FieldModule
    from flare_mesh.training.optimizers import OptimizerConfig, build_optimizer
    from flare_mesh.training.parameter_groups import parameter_groups
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
    "parameter_groups",
    "relative_l2",
]

# Imported on first use: Lightning takes seconds, and the losses do without it.
__getattr__ = lazy_names(
    __name__,
    {
        "DataDescription": "flare_mesh.training.description",
        "FieldDataModule": "flare_mesh.training.data_module",
        "FieldLoss": "flare_mesh.training.losses",
        "FieldModule": "flare_mesh.training.module",
        "LossConfig": "flare_mesh.training.losses",
        "OptimizerConfig": "flare_mesh.training.optimizers",
        "RolloutConfig": "flare_mesh.training.unroll",
        "ScheduleConfig": "flare_mesh.training.schedules",
        "build_module": "flare_mesh.training.build",
        "build_optimizer": "flare_mesh.training.optimizers",
        "build_schedule": "flare_mesh.training.schedules",
        "parameter_groups": "flare_mesh.training.parameter_groups",
        "relative_l2": "flare_mesh.training.metrics",
    },
)
