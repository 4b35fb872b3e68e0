"""Progress of a training that ends by the clock."""

import math
import time
from collections.abc import Callable
from typing import Any

_WINDOW = 0.1
"""Time over which the measured step time is averaged, as a share of the budget."""
_LONGEST = 0.01
"""Longest time between two estimates, as a share of the budget."""


class TimeProgress:
    """Progress p from 0 to 1 of a run that has a number of seconds, and of steps that is unknown.

    With n steps still to come, a step advances it by (1 - p) / n, so that p is 1 at the last step.
    The estimate n is renewed at steps that the estimate before it fixes: after each of the first
    steps, then about every 1 % of the time, and after each of the last ones. It is

        n = (remaining time - last pause) / step time,

    less the pauses of the epochs that end before that. A pause is the time between two steps with
    the end of an epoch between them: validation, checkpoints. The step time is the mean over the
    last tenth of the budget, without the first step, which compiles.

    Args:
        seconds: The budget.
        clock: Returns the time in seconds.

    Attributes:
        progress: p; that of the next step.
        steps: Steps done.
        done: Whether no further step fits into the budget.
        share: Gives all processes the numbers of the first one; by default for one process.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.seconds = seconds
        self.clock = clock
        self.share: Callable[[tuple[int, int]], tuple[int, int]] = lambda numbers: numbers
        self.progress = 0.0
        self.steps = 0
        self.done = False
        self._before = 0.0  # seconds of earlier processes
        self._started: float | None = None
        self._increment = 0.0
        self._renewal = 1
        self._step_sums = (0.0, 0.0)  # seconds and steps, both forgotten at the same rate
        self._pause: float | None = None
        self._paused = 0.0
        self._mark: tuple[float, int] | None = None  # seconds without pauses, and steps

    @property
    def elapsed(self) -> float:
        """Seconds used, also by the processes that the run was resumed from."""
        now = 0.0 if self._started is None else self.clock() - self._started
        return self._before + now

    @property
    def step_seconds(self) -> float | None:
        """Mean time of a step without pauses; None until one is measured."""
        seconds, steps = self._step_sums
        return max(seconds / steps, 1e-9) if steps else None

    def start(self) -> None:
        """Start the clock."""
        self._started, self._mark, self._paused = self.clock(), None, 0.0

    def stop(self) -> None:
        """Stop the clock."""
        self._before, self._started = self.elapsed, None

    def pause(self, seconds: float) -> None:
        """Count time between two steps as a pause."""
        self._paused += seconds
        self._pause = seconds if self._pause is None else (self._pause + seconds) / 2

    def step(self, until_pause: float = math.inf, between_pauses: float = math.inf) -> None:
        """Count a step and advance the progress.

        Args:
            until_pause: Steps until the next pause.
            between_pauses: Steps between later pauses.
        """
        self.steps += 1
        if self._mark is None:
            self._mark = self.elapsed - self._paused, self.steps
        if self.steps >= self._renewal:
            self._measure()
            remaining = self._remaining(until_pause, between_pauses)
            remaining, wait = self.share((remaining, self._wait(remaining)))
            self.done = remaining < 1
            self._renewal = self.steps + wait
            # Without a measured step the progress waits.
            measured = self.steps > 1
            self._increment = (1 - self.progress) / remaining if measured and remaining else 0.0
        self.progress = min(1.0, self.progress + self._increment)

    def _measure(self) -> None:
        assert self._mark is not None
        now = self.elapsed - self._paused
        seconds, steps = now - self._mark[0], self.steps - self._mark[1]
        self._mark = now, self.steps
        if steps:
            kept = math.exp(-seconds / (_WINDOW * self.seconds))
            before = self._step_sums
            self._step_sums = before[0] * kept + seconds, before[1] * kept + steps

    def _remaining(self, until_pause: float, between_pauses: float) -> int:
        """Steps that still fit."""
        step, pause = self.step_seconds, self._pause or 0.0
        left = self.seconds - self.elapsed
        if step is None:
            return 1 if left > 0 else 0
        # The run ends with a pause. A tiny excess allows for rounding.
        count = (left - pause) / step + 1e-6
        if count > until_pause:
            rest = max(0.0, left - until_pause * step - 2 * pause)
            count = until_pause + rest / (step + pause / between_pauses)
        return max(0, math.floor(count))

    def _wait(self, remaining: int) -> int:
        """Steps until the next estimate."""
        longest = _LONGEST * self.seconds / (self.step_seconds or math.inf)
        return max(1, int(min(remaining / 4, self.steps, longest)))

    def state_dict(self) -> dict[str, Any]:
        """State in a checkpoint, as plain values."""
        return {
            "seconds": self.seconds,
            "elapsed": self.elapsed,
            "progress": self.progress,
            "steps": self.steps,
            "done": self.done,
            "increment": self._increment,
            "renewal": self._renewal,
            "step_sums": list(self._step_sums),
            "pause": self._pause,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a state; the clock has to be started."""
        self._before, self._started = state["elapsed"], None
        self.progress, self.steps, self.done = state["progress"], state["steps"], state["done"]
        self._increment, self._renewal = state["increment"], state["renewal"]
        self._step_sums = state["step_sums"][0], state["step_sums"][1]
        self._pause = state["pause"]
