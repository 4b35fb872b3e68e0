import warnings

import pytest
from lightning import Trainer
from torch_geometric.loader import DataLoader

from flare_mesh import FLAREOperator
from flare_mesh.surrogate import Surrogate
from flare_mesh.testing import random_graph
from flare_mesh.training import FieldModule


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 10, 20])
def test_any_number_of_steps(steps):
    """The schedule's warm-up must not end on its first step."""
    model = FLAREOperator(0, 1, hidden_channels=4, num_layers=1, heads=1, num_latents=2)
    module = FieldModule(Surrogate(model, {"u": 1}), lr=1e-2)
    case = random_graph(5)
    case.y = case.pos[:, :1].clone()
    trainer = Trainer(
        max_epochs=steps,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(module, DataLoader([case]))
    assert trainer.global_step == steps
