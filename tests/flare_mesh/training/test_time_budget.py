import warnings

import pytest
import torch
from lightning import LightningModule, Trainer
from torch_geometric.loader import DataLoader

from flare_mesh import FLAREOperator
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.testing import random_graph
from flare_mesh.training import FieldModule, OptimizerConfig, ScheduleConfig
from flare_mesh.training.last_checkpoint import LastCheckpoint
from flare_mesh.training.schedules import schedule_at
from flare_mesh.training.time_budget import TimeBudget


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


class TimedModule(FieldModule):
    """Each step takes a second, each validation three."""

    def training_step(self, batch, batch_idx=0):
        self.clock.now += 1
        self.rates.append(self.trainer.optimizers[0].param_groups[0]["lr"])
        return super().training_step(batch, batch_idx)

    def on_validation_epoch_end(self):
        self.clock.now += 3
        super().on_validation_epoch_end()


def made(seconds, path=None, **options):
    cases = [random_graph(6, seed=seed) for seed in range(3)]
    for number, case in enumerate(cases):
        case.y, case.case_id = case.pos[:, :1] + 2, str(number)
    torch.manual_seed(0)
    model = FLAREOperator(0, 1, hidden_channels=4, num_layers=1, heads=1, num_latents=2)
    surrogate = Surrogate(model, {"u": 1})
    surrogate.fit_normalizers(cases)
    module = TimedModule(surrogate, optimizer=OptimizerConfig(lr=0.1))
    module.clock, module.rates = Clock(), []
    budget = TimeBudget(seconds, clock=module.clock)
    saved = [] if path is None else [LastCheckpoint(path)]
    trainer = Trainer(
        callbacks=[budget, *saved],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=path is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        **options,
    )
    return module, budget, trainer, DataLoader(cases)


def fit(module, trainer, loader, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=".*max_epochs")
        trainer.fit(module, loader, loader, **options)


def test_steps_and_validations_end_with_the_budget():
    module, budget, trainer, loader = made("1m")
    fit(module, trainer, loader)
    # Ten epochs of three steps and a validation.
    assert trainer.global_step == 30
    assert budget.time.elapsed == 60
    first, last = (0.1 * schedule_at(ScheduleConfig(), p)[0] for p in (0.0, 1.0))
    assert module.rates[0] == pytest.approx(first)
    assert module.rates[-1] == pytest.approx(last)
    assert max(module.rates) > 0.09


def test_a_resumed_run_has_the_rest(tmp_path):
    module, budget, trainer, loader = made("1m", tmp_path / "last.ckpt", limit_train_batches=3)
    trainer.callbacks.append(StopAt(5))
    fit(module, trainer, loader)
    used, steps = budget.time.elapsed, trainer.global_step
    assert steps < 20
    module, budget, trainer, loader = made("1m", tmp_path / "last.ckpt")
    fit(module, trainer, loader, ckpt_path=tmp_path / "last.ckpt")
    assert used + module.clock.now == budget.time.elapsed
    assert 56 <= budget.time.elapsed <= 60
    assert module.rates[-1] < 1e-4
    # A finished run has none left.
    done = trainer.global_step
    module, budget, trainer, loader = made("1m", tmp_path / "last.ckpt")
    fit(module, trainer, loader, ckpt_path=tmp_path / "last.ckpt")
    assert trainer.global_step == done
    assert module.rates == []
    module, _, trainer, loader = made("2m", tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"budget, seconds is 120.0 here, 60.0 in the checkpoint"):
        fit(module, trainer, loader, ckpt_path=tmp_path / "last.ckpt")


class StopAt(LastCheckpoint):
    """Ends the run after some epochs."""

    def __init__(self, epochs):
        self.epochs = epochs

    def on_train_start(self, trainer, pl_module):
        pass

    def on_train_batch_end(self, trainer, *args):
        trainer.should_stop |= trainer.current_epoch == self.epochs

    def on_train_epoch_end(self, trainer, pl_module):
        pass

    def teardown(self, trainer, pl_module, stage):
        pass


@pytest.mark.parametrize("option", ["max_epochs", "max_steps", "min_epochs", "min_steps"])
def test_one_length(option):
    module, _, trainer, loader = made("1m", **{option: 7})
    with pytest.raises(ValueError, match=rf"the time alone .* \(got {option}=7 too\)"):
        fit(module, trainer, loader)


def test_another_module_is_refused():
    class Other(LightningModule):
        def __init__(self):
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1))

        def training_step(self, batch):
            return self.weight.sum()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), 0.1)

    _, _, trainer, loader = made("1m")
    with pytest.raises(ValueError, match=r"expected a FieldModule or .* \(got Other\)"):
        fit(Other(), trainer, loader)
