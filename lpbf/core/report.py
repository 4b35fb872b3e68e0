"""What a simulation cost and how well it converged."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class StepReport:
    """One step of a simulation.

    Attributes:
        name: The step, for instance "layer 3".
        iterations: Of the linear solver, all together.
        residual: Norm of the step's last residual over that of its load.
        newton_iterations: Of Newton's method; 0 for an elastic step.
        seconds: Wall time.
    """

    name: str
    iterations: int
    residual: float
    newton_iterations: int
    seconds: float


@dataclass(frozen=True)
class Report:
    """A whole simulation.

    Attributes:
        solver: Which solver was used.
        seconds: Wall time.
        peak_memory: Largest resident memory of the process so far, bytes.
        steps: In their order.
    """

    solver: str
    seconds: float
    peak_memory: int
    steps: tuple[StepReport, ...] = ()

    @property
    def iterations(self) -> int:
        """Of the linear solver, in all steps."""
        return sum(step.iterations for step in self.steps)

    @property
    def newton_iterations(self) -> int:
        """Of Newton's method, in all steps."""
        return sum(step.newton_iterations for step in self.steps)

    @property
    def residual(self) -> float:
        """The largest of all steps; 0 without steps."""
        return max((step.residual for step in self.steps), default=0.0)

    def table(self) -> str:
        """A line of text for each step, and one for all."""
        rows = [("step", "iterations", "residual", "Newton", "seconds")]
        rows += [_row(s.name, s) for s in self.steps]
        rows.append(_row(f"all {len(self.steps)}", self))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join(
                [row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])],
            )
            for row in rows
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as JSON has it, with the sums of the steps."""
        sums = {key: getattr(self, key) for key in ("iterations", "newton_iterations", "residual")}
        return {**asdict(self), **sums, "steps": [asdict(step) for step in self.steps]}

    def __str__(self) -> str:
        newton = f", {self.newton_iterations} of Newton" if self.newton_iterations else ""
        return (
            f"{self.solver}: {len(self.steps)} steps, {self.iterations} iterations{newton}, "
            f"residual {self.residual:.1e}, {self.seconds:.1f} s, {self.peak_memory / 1e6:.0f} MB"
        )


def _row(name: str, of: StepReport | Report) -> tuple[str, ...]:
    return (
        name,
        f"{of.iterations}",
        f"{of.residual:.1e}",
        f"{of.newton_iterations}",
        f"{of.seconds:.2f}",
    )
