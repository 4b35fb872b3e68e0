import warnings

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from flare_mesh.training.optimizers import OptimizerConfig, build_optimizer
from flare_mesh.training.schedules import ScheduleConfig, build_schedule


def adamw(*rates):
    return torch.optim.AdamW([{"params": [nn.Parameter(torch.zeros(1))], "lr": r} for r in rates])


def values(optimizer, schedule, steps):
    """Learning rates and first betas of all groups at each step."""
    rows = []
    for _ in range(steps):
        groups = optimizer.param_groups
        rows.append([(group["lr"], group["betas"][0]) for group in groups])
        optimizer.step()
        schedule.step()
    return torch.tensor(rows, dtype=torch.float64)


def expected(config, total, peak_rate):
    """Learning rates and momentum in closed form of the step."""
    start = 1 / config.div_factor
    end, peak, last = start / config.final_div_factor, config.pct_start * total - 1, total - 1
    steps = torch.arange(total, dtype=torch.float64)
    up, down = steps / peak, (steps - peak) / (last - peak)
    warm_up = up if config.name == "cosine" else (1 - (torch.pi * up).cos()) / 2
    decay = (1 + (torch.pi * down).cos()) / 2
    rising = steps < peak
    factor = torch.where(rising, start + (1 - start) * warm_up, end + (1 - end) * decay)
    momentum = torch.full_like(steps, 0.9)
    if config.name == "one_cycle" and config.cycle_momentum:
        momentum = 0.95 - 0.1 * torch.where(rising, warm_up, decay)
    return torch.stack([peak_rate * factor, momentum], dim=1)


@given(
    name=st.sampled_from(["one_cycle", "cosine"]),
    total=st.integers(2, 60),
    pct=st.floats(0.0, 1.0, exclude_max=True),
    div=st.floats(1.0, 1e5),
    final=st.floats(0.1, 1e5),
    cycle=st.booleans(),
)
def test_learning_rates_and_momentum(name, total, pct, div, final, cycle):
    if not 0.01 < pct * total - 1 < total - 1.01:
        return
    options = {"cycle_momentum": cycle} if name == "one_cycle" else {}
    config = ScheduleConfig(name, pct, div, final, **options)
    optimizer = adamw(1e-3, 0.5)
    found = values(optimizer, build_schedule(optimizer, config, total), total)
    for group, rate in enumerate((1e-3, 0.5)):
        torch.testing.assert_close(
            found[:, group], expected(config, total, rate), rtol=1e-9, atol=1e-15
        )


def test_the_published_schedule():
    optimizer = adamw(1e-3)
    rows = values(optimizer, build_schedule(optimizer, ScheduleConfig(), 100), 100)[:, 0]
    assert rows[0].tolist() == pytest.approx([1e-7, 0.95])
    assert rows[9].tolist() == pytest.approx([1e-3, 0.85])  # after a tenth of the steps
    assert rows[99].tolist() == pytest.approx([1e-11, 0.95])
    assert bool((rows[:9, 0].diff() > 0).all())
    assert bool((rows[9:, 0].diff() < 0).all())


@pytest.mark.parametrize("name", ["one_cycle", "cosine", "constant"])
@pytest.mark.parametrize("pct_start", [0.0, 0.1, 0.5])
@pytest.mark.parametrize("total", [1, 2, 3, 5, 10, 20])
def test_any_number_of_steps(name, pct_start, total):
    options = {} if name == "constant" else {"pct_start": pct_start}
    optimizer = adamw(0.1)
    schedule = build_schedule(optimizer, ScheduleConfig(name=name, **options), total)
    rates = values(optimizer, schedule, total)[:, 0, 0]
    assert bool(((rates > 0) & (rates <= 0.1 + 1e-12)).all())
    # The peak may fall between two steps.
    assert rates.max() > 0.05


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 8), nn.Linear(8, 8), nn.Linear(8, 1))


@pytest.mark.parametrize("name", ["lion", "muon"])
def test_momentum_of_other_optimizers(name):
    if name == "lion":
        pytest.importorskip("lion_pytorch")
    optimizer = build_optimizer(network(), OptimizerConfig(name=name, lr=0.1))
    if name == "muon":
        optimizer.param_groups[0]["lr"] = 0.3
    schedule = build_schedule(optimizer, ScheduleConfig(), 20)
    for _ in range(2):
        peaks = [group["lr"] for group in optimizer.param_groups]
        momentum = [
            group.get("momentum", group.get("betas", (0,))[0]) for group in optimizer.param_groups
        ]
        optimizer.step()
        schedule.step()
    assert peaks == pytest.approx([0.3, 0.1, 0.1][: len(peaks)] if name == "muon" else [0.1, 0.1])
    assert momentum == pytest.approx([0.85] * len(momentum))


@pytest.mark.parametrize("config", [ScheduleConfig(), ScheduleConfig(name="cosine")])
def test_state_goes_to_a_file_and_back(config, tmp_path):
    one = adamw(0.1, 0.2)
    schedule = build_schedule(one, config, 20)
    values(one, schedule, 7)
    torch.save([one.state_dict(), schedule.state_dict()], tmp_path / "a.pt")
    optimizer_state, state = torch.load(tmp_path / "a.pt", weights_only=True)
    two = adamw(0.1, 0.2)
    other = build_schedule(two, config, 20)
    two.load_state_dict(optimizer_state)
    other.load_state_dict(state)
    with warnings.catch_warnings():
        # Steps that the schedule has seen, and this optimiser has not.
        warnings.filterwarnings("ignore", message="Detected call of")
        assert torch.equal(values(one, schedule, 13), values(two, other, 13))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"name": "step"}, r"unknown schedule 'step'; choose from \['constant', 'cosine', "),
        ({"pct_start": 1.0}, r"expected 'pct_start' from 0 to below 1 \(got 1.0\)"),
        ({"pct_start": float("nan")}, r"expected 'pct_start'"),
        ({"div_factor": 0.0}, r"expected 'div_factor' > 0 \(got 0.0\)"),
        ({"final_div_factor": -1.0}, r"expected 'final_div_factor' > 0"),
        ({"base_momentum": 0.96}, r"0 <= base_momentum <= max_momentum < 1 \(got 0.96 and 0.95\)"),
        ({"name": "constant", "pct_start": 0.2}, r"'pct_start' has no effect with the schedule"),
        ({"name": "cosine", "max_momentum": 0.9}, r"'max_momentum' has no effect"),
        ({"cycle_momentum": False, "max_momentum": 0.9}, r"no effect with cycle_momentum=False"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=f"ScheduleConfig: .*{message}"):
        ScheduleConfig(**options)


def test_no_steps():
    with pytest.raises(ValueError, match=r"expected total_steps >= 1 \(got 0\)"):
        build_schedule(adamw(0.1), ScheduleConfig(), 0)
