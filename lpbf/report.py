"""What a simulation cost and how well it converged."""

from dataclasses import dataclass


@dataclass(frozen=True)
class StepReport:
    """One step of a simulation.

    Attributes:
        name: The step, for instance "layer 3".
        iterations: Of the linear solver, all together; 0 for a direct one.
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
    steps: tuple[StepReport, ...]
