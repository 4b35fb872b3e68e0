import json
import random

import pytest

from flare_mesh.training.time_progress import TimeProgress


class Clock:
    """Time that passes on demand."""

    def __init__(self):
        self.now = 50.0

    def __call__(self):
        return self.now


def run(time, clock, step_seconds, *, pause=0.0, every=None, most=10**6):
    """Train until the time is used, or for some steps; the progress before each step."""
    found = []
    while not time.done and len(found) < most:
        found.append(time.progress)
        clock.now += step_seconds(time.steps)
        if every is None:
            time.step()
            continue
        time.step(every - 1 - (len(found) - 1) % every, every)
        if len(found) % every == 0 and not time.done:
            clock.now += pause
            time.pause(pause)
    return found


def started(seconds):
    clock = Clock()
    time = TimeProgress(seconds, clock)
    time.start()
    return time, clock


def test_steps_of_equal_time_are_counted_exactly():
    time, clock = started(100)
    found = run(time, clock, lambda step: 0.5)
    assert len(found) == 200
    assert time.elapsed == 100
    assert found[0] == 0
    assert found[-1] == 1
    # Two steps without an estimate, then equal increments.
    assert found[2:] == pytest.approx([(i - 1) / 198 for i in range(2, 200)])


@pytest.mark.parametrize("pause", [0.0, 0.7])
@pytest.mark.parametrize("seed", range(3))
def test_any_step_times_end_on_time_and_at_one(seed, pause):
    draw = random.Random(seed)
    slow = draw.randint(100, 900)
    # A first step that compiles, noise, a machine that becomes slower, and one interruption.
    times = [20.0 if i == 0 else draw.uniform(0.02, 0.06) * (1 + i / 2000) for i in range(9000)]
    times[slow] += 15.0
    time, clock = started(200)
    found = run(time, clock, times.__getitem__, pause=pause, every=37)
    assert found == sorted(found)
    assert found[-1] > 0.999
    # The last pause and less than two steps are left, or one step was longer than estimated.
    assert -0.4 < 200 - time.elapsed < pause + 0.8


def test_the_last_pause_fits():
    time, clock = started(60)
    run(time, clock, lambda step: 0.1, pause=2.0, every=50)
    assert time.elapsed + 2.0 <= 60 + 1e-6
    assert time.elapsed + 2.0 > 60 - 0.2


def test_a_stop_in_the_middle_loses_nothing():
    time, clock = started(30)
    whole = run(time, clock, lambda step: 0.1, pause=0.5, every=25)
    time, clock = started(30)
    first = run(time, clock, lambda step: 0.1, pause=0.5, every=25, most=100)
    used, state = time.elapsed, json.loads(json.dumps(time.state_dict()))
    clock.now += 1000  # nobody trains
    later = TimeProgress(30, clock)
    later.load_state_dict(state)
    later.start()
    second = run(later, clock, lambda step: 0.1, pause=0.5, every=25)
    pauses = (len(second) - 1) // 25  # none after the last step
    assert later.elapsed == pytest.approx(used + 0.1 * len(second) + 0.5 * pauses)
    assert len(first) + len(second) == pytest.approx(len(whole), abs=1)
    assert second[-1] == 1
    assert later.elapsed <= 30


def test_a_finished_run_is_done_again():
    time, clock = started(1)
    run(time, clock, lambda step: 0.1)
    again = TimeProgress(1, clock)
    again.load_state_dict(time.state_dict())
    assert again.done


def test_other_processes_follow_the_first():
    """They take its numbers, at the same steps, whatever their own clocks show."""
    numbers = []
    time, clock = started(20)
    time.share = lambda found: numbers.append(found) or found
    first = run(time, clock, lambda step: 0.05 + 0.01 * (step % 3))
    other, slow_clock = started(20)
    given = iter(numbers)
    other.share = lambda _: next(given)
    assert run(other, slow_clock, lambda step: 1.0) == first
    assert next(given, None) is None


def test_a_step_longer_than_the_budget_is_the_only_one():
    time, clock = started(3)
    assert run(time, clock, lambda step: 10.0) == [0.0]
