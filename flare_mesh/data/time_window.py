"""Which time steps of a trajectory make a case."""

from dataclasses import dataclass


@dataclass(frozen=True)
class TimeWindow:
    """Consecutive time steps: ``num_in`` that are known, then ``num_out`` to predict.

    Attributes:
        num_in: Steps in the input.
        num_out: Steps in the target.
        starts: First steps of the windows that one trajectory has.
    """

    num_in: int
    num_out: int
    starts: range

    @classmethod
    def from_trajectory(
        cls, steps: int, window: tuple[int, int | None], mode: str, place: str = ""
    ) -> "TimeWindow":
        """The windows of a trajectory.

        Args:
            steps: Stored time steps of the trajectory.
            window: Steps in the input and in the target; None for all that follow.
            mode: ``"rollout"`` for the one window at the beginning of the trajectory, or
                ``"windows"`` for one at each step where it fits.
            place: What a message begins with.

        Raises:
            ValueError: If the mode is unknown or the window is longer than the trajectory.
        """
        if mode not in ("rollout", "windows"):
            raise ValueError(f"{place}: unknown mode '{mode}'; choose 'rollout' or 'windows'")
        if len(window) != 2:
            raise ValueError(
                f"{place}: expected a window of two numbers, the steps in and the steps out (got "
                f"{list(window)})"
            )
        num_in = window[0]
        num_out = steps - num_in if window[1] is None else window[1]
        if num_in < 1 or num_out < 1 or num_in + num_out > steps:
            raise ValueError(
                f"{place}: expected a window of at least one step each, at most {steps} together "
                f"(got {tuple(window)})"
            )
        last = steps - num_in - num_out if mode == "windows" else 0
        return cls(num_in, num_out, range(last + 1))

    def names(self, trajectory: str) -> list[str]:
        """Names of the cases of a trajectory."""
        if len(self.starts) == 1:
            return [trajectory]
        width = len(str(self.starts[-1]))
        return [f"{trajectory}_t{start:0{width}d}" for start in self.starts]
