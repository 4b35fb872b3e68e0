import json
from dataclasses import asdict

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from flare_mesh.surrogate.rollout import Rollout


def rollout(num_in=2, num_out=3, velocity=2):
    """A velocity and a temperature, and a material that does not change."""
    return Rollout(
        {"material": 1, "velocity_in": velocity * num_in, "T_in": num_in},
        {"T_out": num_out, "velocity_out": velocity * num_out},
        num_in,
        num_out,
    )


def test_a_step_enters_the_past_of_its_field():
    series = rollout()
    assert series.step_fields == {"T_out": 1, "velocity_out": 2}
    #                 material, velocity at 0 and at 1, T at 0 and at 1
    x = torch.tensor([[7.0, 10.0, 20.0, 11.0, 21.0, 100.0, 101.0]])
    step = torch.tensor([[102.0, 12.0, 22.0]])
    expected = torch.tensor([[7.0, 11.0, 21.0, 12.0, 22.0, 101.0, 102.0]])
    assert torch.equal(series.advance(x, step), expected)


def test_appended_features_do_not_change():
    x = torch.tensor([[1.0, 2.0, 8.0, 9.0]])
    series = Rollout({"T_in": 2}, {"T_out": 4}, 2, 4)
    assert series.advance(x, torch.tensor([[3.0]])).tolist() == [[2.0, 3.0, 8.0, 9.0]]


def test_one_step_in_is_replaced():
    series = Rollout({"T_in": 1}, {"T_out": 4}, 1, 4)
    assert torch.equal(series.advance(torch.zeros(3, 1), torch.ones(3, 1)), torch.ones(3, 1))


def test_order_of_a_series_is_step_by_step_in_each_field():
    y = torch.tensor([[1.0, 2.0, 3.0, 10.0, 20.0, 11.0, 21.0, 12.0, 22.0]])
    steps = rollout().split(y)
    expected = [[1.0, 10.0, 20.0], [2.0, 11.0, 21.0], [3.0, 12.0, 22.0]]
    assert [step[0].tolist() for step in steps] == expected


@given(st.integers(1, 4), st.integers(1, 5), st.integers(1, 3), st.integers(1, 7))
def test_join_is_the_inverse_of_split(num_in, num_out, velocity, steps):
    """For any number of steps, not only that of training."""
    series = rollout(num_in, num_out, velocity)
    y = torch.arange(2.0 * steps * (1 + velocity)).reshape(2, -1)
    parts = series.split(y)
    assert len(parts) == steps
    assert torch.equal(series.join(parts), y)
    sizes = {name: field.shape[1] for name, field in series.split_fields(y).items()}
    assert sizes == {"T_out": steps, "velocity_out": velocity * steps}


def test_advancing_by_the_true_steps_restores_the_series():
    """x is each window of the series in turn."""
    series, values = Rollout({"T_in": 2}, {"T_out": 1}, 2, 1), torch.arange(6.0)[None]
    x = values[:, :2]
    for t in range(2, 6):
        x = series.advance(x, values[:, t : t + 1])
        assert torch.equal(x, values[:, t - 1 : t + 1])


def test_a_few_steps_are_seen_at_a_time():
    """Two of three known steps; a wall that does not change, and a feature at the end."""
    series = Rollout({"u_in": 6, "wall": 1, "T_in": 3}, {"T_out": 2, "u_out": 4}, 3, 2, 2)
    assert series.seen_inputs == {"u_in": 4, "wall": 1, "T_in": 2}
    assert series.hidden_channels == 3
    assert series.past == [True] * 4 + [False] + [True] * 2
    #                 u at 0, 1, 2; wall; T at 0, 1, 2; feature
    x = torch.tensor([[10.0, 20, 11, 21, 12, 22, 7, 100, 101, 102, 9]])
    y = torch.tensor([[103.0, 104, 13, 23, 14, 24]])
    first, second = [10.0, 20, 11, 21, 7, 100, 101, 9], [11.0, 21, 12, 22, 7, 101, 102, 9]
    third = [12.0, 22, 13, 23, 7, 102, 103, 9]
    assert [seen[0].tolist() for seen in series.known(x)] == [first, second]
    assert [seen[0].tolist() for seen in series.along(x, y)] == [first, second, third]
    assert Rollout(**json.loads(json.dumps(asdict(series)))) == series


def test_json_and_back():
    series = rollout()
    assert Rollout(**json.loads(json.dumps(asdict(series)))) == series


def test_options_that_do_not_match():
    with pytest.raises(ValueError, match="expected the past of 'T_out' as an input 'T_in'"):
        Rollout({"velocity_in": 1}, {"T_out": 1}, 1, 1)
    with pytest.raises(ValueError, match="and 2 steps of 'T_out'"):
        Rollout({"T_in": 1}, {"T_out": 3}, 1, 2)
    with pytest.raises(ValueError, match=r"2 steps of 1 channels in 'T_in' \(got 3 channels\)"):
        Rollout({"T_in": 3}, {"T_out": 1}, 2, 1)
    with pytest.raises(ValueError, match=r"expected 1 to 2, the known steps \(got 3\)"):
        Rollout({"T_in": 2}, {"T_out": 1}, 2, 1, 3)
    with pytest.raises(ValueError, match=r"at least one step in and one out \(got 1 and 0\)"):
        Rollout({"T_in": 1}, {"T_out": 1}, 1, 0)
