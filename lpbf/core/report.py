"""Cost and convergence of a simulation."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class StepReport:
    """Cost and convergence of one step.

    Attributes:
        name: Name of the step, for instance "layer 3".
        iterations: Total iterations of the linear solver.
        residual: Norm of the last residual divided by the norm of the load.
        newton_iterations: Iterations of Newton's method; 0 for an elastic step.
        seconds: Wall time.
    """

    name: str
    iterations: int
    residual: float
    newton_iterations: int
    seconds: float


@dataclass(frozen=True)
class Report:
    """Cost and convergence of a simulation.

    Attributes:
        solver: Name of the solver.
        seconds: Wall time.
        peak_memory: Largest resident memory of the Python process so far, bytes.
        steps: The steps in their order.
    """

    solver: str
    seconds: float
    peak_memory: int
    steps: tuple[StepReport, ...] = ()

    @property
    def iterations(self) -> int:
        """Iterations of the linear solver in all steps."""
        return sum(step.iterations for step in self.steps)

    @property
    def newton_iterations(self) -> int:
        """Iterations of Newton's method in all steps."""
        return sum(step.newton_iterations for step in self.steps)

    @property
    def residual(self) -> float:
        """Largest residual of all steps; 0 without steps."""
        return max((step.residual for step in self.steps), default=0.0)

    def table(self) -> str:
        """Table as text, with a line for each step and one for their sum."""
        rows = [("step", "iterations", "residual", "Newton", "seconds")]
        rows += [_row(s.name, s) for s in self.steps]
        rows.append(_row(f"all {len(self.steps)}", self))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join(
            "  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])])
            for row in rows
        )

    def to_dict(self) -> dict[str, Any]:
        """All values as JSON holds them, with the sums over the steps."""
        sums = {key: getattr(self, key) for key in ("iterations", "newton_iterations", "residual")}
        return {**asdict(self), **sums, "steps": [asdict(step) for step in self.steps]}

    def __str__(self) -> str:
        newton = f", {self.newton_iterations} Newton" if self.newton_iterations else ""
        return (
            f"{self.solver}: {len(self.steps)} steps, {self.iterations} iterations{newton}, "
            f"residual {self.residual:.1e}, {self.seconds:.1f} s, {self.peak_memory / 1e6:.0f} MB"
        )


def _row(name: str, of: StepReport | Report) -> tuple[str, ...]:
    newton, seconds = f"{of.newton_iterations}", f"{of.seconds:.2f}"
    return name, f"{of.iterations}", f"{of.residual:.1e}", newton, seconds
