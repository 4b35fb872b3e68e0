"""Check that the training loss is finite."""

import math
from collections.abc import Sequence

from torch import Tensor

from flare_mesh.training.async_scalar import AsyncScalar

_MAX_SKIPPED = 20


class NotFiniteError(ValueError):
    """The training loss is NaN or infinite."""


class LossMonitor:
    """Check of the training loss, one step late, so that no step waits for its own loss."""

    def __init__(self) -> None:
        self._last: tuple[int, Sequence[str], AsyncScalar, bool] | None = None
        self._skipped = 0

    def watch(self, loss: Tensor, step: int, cases: Sequence[str], *, scaled: bool = False) -> None:
        """Start the copy of a loss to the host.

        Args:
            loss: The loss.
            step: Number of the step, for the message.
            cases: Names of the cases, for the message.
            scaled: Whether a gradient scaler skips steps with such a loss and lowers its scale;
                then only 20 of them in a row are an error.
        """
        self._last = step, cases, AsyncScalar(loss), scaled

    def check(self) -> None:
        """Check the loss that was given to :meth:`watch` last, once.

        Raises:
            NotFiniteError: If the loss is not finite.
        """
        if self._last is None:
            return
        (step, cases, scalar, scaled), self._last = self._last, None
        loss = scalar.read()
        self._skipped = 0 if math.isfinite(loss) else self._skipped + 1
        if self._skipped > (_MAX_SKIPPED if scaled else 0):
            names = ", ".join(map(str, cases)) or "without names"
            raise NotFiniteError(
                f"the loss of step {step} is {loss} (cases: {names}); lower the learning rate, "
                f"clip gradients (trainer.gradient_clip_val), check these cases, or train in full "
                f"precision"
            )
