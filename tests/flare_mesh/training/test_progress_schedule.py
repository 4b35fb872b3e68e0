import math

import pytest
import torch
from torch import nn

from flare_mesh.training.optimizers import OptimizerConfig, build_optimizer
from flare_mesh.training.progress_schedule import ProgressSchedule
from flare_mesh.training.schedules import ScheduleConfig, schedule_at


@pytest.mark.parametrize(
    ("name", "progress", "factor", "momentum"),
    [
        ("one_cycle", 0.0, 1 / 25, 0.95),
        ("one_cycle", 0.1, (1 + 1 / 25) / 2, 0.9),  # half of the warm-up
        ("one_cycle", 0.2, 1.0, 0.85),
        ("one_cycle", 0.6, (1 + 1 / 2500) / 2, 0.9),
        ("one_cycle", 1.0, 1 / 2500, 0.95),
        ("cosine", 0.05, 1 / 25 + (1 - 1 / 25) / 4, None),
        ("cosine", 0.2, 1.0, None),
        ("cosine", 1.0, 1 / 2500, None),
        ("constant", 0.0, 1.0, None),
        ("constant", 1.0, 1.0, None),
    ],
)
def test_closed_form(name, progress, factor, momentum):
    options = {} if name == "constant" else {"pct_start": 0.2, "div_factor": 25.0}
    options |= {} if name == "constant" else {"final_div_factor": 100.0}
    found = schedule_at(ScheduleConfig(name, **options), progress)
    assert found == (pytest.approx(factor), momentum and pytest.approx(momentum))


def test_without_warm_up():
    assert schedule_at(ScheduleConfig("cosine", pct_start=0.0), 0.0)[0] == 1.0


@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_all_groups_follow_the_progress(name):
    progress = [0.0]
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    optimizer = build_optimizer(module, OptimizerConfig(name, lr=1e-2))
    peaks = [group["lr"] for group in optimizer.param_groups]
    config = ScheduleConfig("one_cycle")
    schedule = ProgressSchedule(optimizer, config, lambda: progress[0])
    for value in (0.0, 0.04, 0.5, 1.0):
        progress[0] = value
        optimizer.step()
        schedule.step()
        factor, momentum = schedule_at(config, value)
        for group, peak in zip(optimizer.param_groups, peaks, strict=True):
            assert group["lr"] == pytest.approx(peak * factor)
            found = group["betas"][0] if "betas" in group else group["momentum"]
            assert found == momentum
    state = schedule.state_dict()
    assert state.keys() == {"base_lrs", "last_epoch"}
    assert torch.tensor(state["base_lrs"]).tolist() == pytest.approx(peaks)
    assert math.isclose(optimizer.param_groups[0]["lr"], peaks[0] / 1e8)
