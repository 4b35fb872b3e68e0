"""A run that is resumed from any step ends where an undisturbed one does, to the bit."""

import shutil
import warnings

import pytest
import torch
from lightning import Trainer, seed_everything

from flare_mesh.training import FieldDataModule, LossConfig, OptimizerConfig, build_module
from flare_mesh.training.checkpoint_io import AtomicCheckpointIO
from flare_mesh.training.last_checkpoint import LastCheckpoint
from flare_mesh.training.run_folder import RunFolder

EPOCHS = 2


class KeepAll(LastCheckpoint):
    """Keeps every checkpoint that is written when one is asked for at each step."""

    def __init__(self, folder):
        super().__init__(folder / "last.ckpt", every_n_steps=1)

    def keep(self, trainer):
        shutil.copy(self.path, self.path.with_name(f"step_{trainer.global_step}.ckpt"))

    def on_train_batch_end(self, trainer, *arguments):
        super().on_train_batch_end(trainer, *arguments)
        if self.path.exists():
            self.keep(trainer)

    def on_train_epoch_end(self, trainer, *arguments):
        super().on_train_epoch_end(trainer, *arguments)
        self.keep(trainer)


def run(root, out, *, keep=False, resume=None, num_workers=0, seed_before=0):
    seed_everything(seed_before, verbose=False)
    data = FieldDataModule(
        "lpbf",
        str(root),
        features=["build_features"],
        augment=[
            {"random_nodes": {"num_nodes": 20}},
            "random_square_symmetry",
            {"add_noise": {"std": {"x": 0.01}}},
        ],
        val_split=0.2,
        batch_size=2,
        num_workers=num_workers,
        seed=3,
    )
    module = build_module(
        data,
        options={"hidden_channels": 8, "num_layers": 1, "heads": 2, "num_latents": 4},
        optimizer=OptimizerConfig(lr=1e-2),
        loss=LossConfig(),
        ema=0.9,
    )
    if resume is None:
        torch.manual_seed(0)
        module.surrogate.model.reset_parameters()
    table = RunFolder(out, "")
    trainer = Trainer(
        max_epochs=EPOCHS,
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=True,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        plugins=[AtomicCheckpointIO()],
        callbacks=[table, *([KeepAll(out)] if keep else [])],
        default_root_dir=out,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, datamodule=data, ckpt_path=resume)
    rows = [{k: v for k, v in row.items() if k != "seconds"} for row in table.rows]
    return module.state_dict(), rows


@pytest.fixture(scope="module")
def undisturbed(lpbf_root, tmp_path_factory):
    out = tmp_path_factory.mktemp("undisturbed")
    state, rows = run(lpbf_root, out, keep=True)
    return out, state, rows


@pytest.mark.slow
@pytest.mark.parametrize(("step", "num_workers"), [(1, 2), (2, 0), (3, 0), (4, 0), (5, 2), (6, 0)])
def test_resuming_from_any_step(undisturbed, lpbf_root, tmp_path, step, num_workers):
    folder, state, rows = undisturbed
    checkpoint = folder / f"step_{step}.ckpt"
    again, found = run(
        lpbf_root, tmp_path, resume=checkpoint, num_workers=num_workers, seed_before=7
    )
    assert again.keys() == state.keys()
    for name, value in state.items():
        assert torch.equal(again[name], value), name
    assert found == rows
    shutil.rmtree(tmp_path)
