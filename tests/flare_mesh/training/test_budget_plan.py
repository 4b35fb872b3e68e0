import dataclasses
import itertools
import random
from datetime import datetime

import numpy as np
import pytest
import torch
from lightning import Trainer, seed_everything

from flare_mesh.training import FieldDataModule, build_module
from flare_mesh.training import sizes as table
from flare_mesh.training.budget_plan import BudgetPlan, plan_budget
from flare_mesh.training.step_time import _timed_steps
from flare_mesh.training.time_budget import TimeBudget

SMALL = {
    "small": {"hidden_channels": 4, "num_layers": 1, "heads": 1, "num_latents": 2},
    "medium": {"hidden_channels": 8, "num_layers": 1, "heads": 2, "num_latents": 2},
    "large": {"hidden_channels": 16, "num_layers": 2, "heads": 2, "num_latents": 2},
}


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch):
    for name, options in SMALL.items():
        monkeypatch.setitem(table.SIZES, name, options)
    monkeypatch.setattr(table, "WHOLE_NODES", 10)
    monkeypatch.setattr(table, "SAMPLED_NODES", 8)
    monkeypatch.setattr(table, "MIN_STEPS", 30)


def clock(step):
    """Each look takes some time."""
    return itertools.count(step=step).__next__


def random_states():
    numbers = np.random.get_state()[1].tolist()  # noqa: NPY002
    return random.getstate(), numbers, torch.get_rng_state().tolist()


def data(root, **options):
    seed_everything(1, verbose=False)
    return FieldDataModule("lpbf", str(root), features=["build_features"], **options)


def train(cases, size):
    module = build_module(cases, size=size)
    Trainer(
        callbacks=[TimeBudget(1, clock=clock(0.01))],
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    ).fit(module, datamodule=cases)
    return module.surrogate.state_dict()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_chosen_plan_trains_as_the_same_plan_written_out(lpbf_root):
    chosen = data(lpbf_root, batch_size="auto", sample_nodes="auto")
    states = random_states()
    plan = plan_budget(
        chosen, 100.0, lambda size: build_module(chosen, size=size), size="auto", clock=clock(2.0)
    )
    assert random_states() == states
    # The steps of all sizes take two seconds here; all fit often enough.
    assert plan == BudgetPlan(
        seconds=100.0, step_seconds=2.0, size="large", batch_size=1, sample_nodes=8,
        nodes=plan.nodes, cases=6, steps=50, passes=50 / 6, epoch_batches=2,
    )  # fmt: skip
    assert plan.nodes[0] > 10
    found = train(chosen, plan.size)
    written = data(lpbf_root, batch_size=1, sample_nodes=8, epoch_batches=2)
    expected = train(written, "large")
    for name, values in expected.items():
        torch.testing.assert_close(found[name], values, rtol=0, atol=0)


@pytest.mark.filterwarnings("ignore")
def test_a_few_steps_are_refused(lpbf_root):
    cases = data(lpbf_root)
    with pytest.raises(ValueError, match=r"^budget: 10s has time for 5 steps of 2 s; .* give 41s"):
        plan_budget(cases, 10, lambda size: build_module(cases, size=size), size="small",
                    clock=clock(2.0))  # fmt: skip


def test_validations_of_averaged_predictions_are_rarer(lpbf_root, monkeypatch):
    """Two of six cases, for two of whose nodes a validation takes a third of a step of one case."""
    monkeypatch.setattr("flare_mesh.training.budget_plan.step_seconds", lambda *args, **_: 0.01)
    cases = data(lpbf_root, val_split=0.34)
    monkeypatch.setattr(cases, "case_sizes", lambda count=None: [50] * 4)
    batches = []
    for evaluations in (1, 8):
        cases.epoch_batches = None
        plan = plan_budget(cases, 1.0, lambda size: build_module(cases, size=size), size="small",
                           evaluations=evaluations)  # fmt: skip
        batches.append(plan.epoch_batches)
    # At most a tenth of the time: 2/3 of a step, or 8 times as much; in whole passes of 4 batches.
    assert batches == [4, 52]


PLAN = BudgetPlan(300.0, 0.045, "medium", 8, 512, (495, 3400), 48, 6666, 1111.0, 330)


def test_lines(monkeypatch):
    monkeypatch.undo()  # the package's sizes
    assert PLAN.lines(datetime(2026, 11, 30, 14, 30)) == [
        "plan: size medium (C = 64, 3 layers, 64 latents), 512 of 495 to 3,400 nodes in each of 8 "
        "cases a step, 45 ms a step",
        "plan: about 6,666 steps in 5m, 1,111 passes over 48 cases, a validation every 330 "
        "batches, end at 14:35:00",
    ]
    few = dataclasses.replace(PLAN, size=None, batch_size=None, sample_nodes=None, passes=0.25,
                              nodes=(900, 900))  # fmt: skip
    lines = few.lines(datetime(2026, 11, 30, 14, 30))
    assert lines[0] == "plan: the given model, all of 900 nodes, 45 ms a step"
    assert lines[2].startswith("warning: the budget ends before every case was used once; give ")
    assert "about 22m" in lines[2]


def test_a_model_with_edges_has_all_nodes(lpbf_root):
    cases = data(lpbf_root, sample_nodes="auto")
    graph = {"encoder": "graph"}
    plan = plan_budget(
        cases, 100.0, lambda size: build_module(cases, size=size, options=graph), size="small",
        clock=clock(2.0),
    )  # fmt: skip
    assert (plan.sample_nodes, plan.edges) == (None, True)
    assert "nodes (drawn nodes would have no edges, which the model needs)" in plan.lines()[0]


def test_steps_of_whole_passes_are_timed():
    assert [_timed_steps(6, 1), _timed_steps(7, 1), _timed_steps(1, 1)] == [12, 7, 7]
    # Three passes of six batches fill nine steps of two.
    assert [_timed_steps(6, 4), _timed_steps(5, 2), _timed_steps(100, 8)] == [9, 10, 7]
