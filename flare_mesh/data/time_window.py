"""Windows of consecutive time steps."""

from dataclasses import dataclass

from flare_mesh.choices import check_choice


@dataclass(frozen=True)
class TimeWindow:
    """Consecutive time steps of a trajectory: ``num_in`` known ones, then ``num_out`` to predict.

    Attributes:
        num_in: Steps in the input.
        num_out: Steps in the target.
        starts: First steps of the windows of a trajectory.
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
            window: Steps in the input and in the target; None for all steps after the input.
            mode: ``"rollout"`` for one window at the beginning of the trajectory, or
                ``"windows"`` for one at each step where it fits.
            place: Beginning of messages.

        Raises:
            ValueError: If the mode is unknown or the window is longer than the trajectory.
        """
        check_choice(f"{place}: unknown mode", mode, ("rollout", "windows"))
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
