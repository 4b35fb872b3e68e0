"""Unrolling of a time series in training."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch_geometric.data import Data

from flare_mesh.surrogate.series_steps import predict_in_parallel, predict_steps
from flare_mesh.surrogate.surrogate import Surrogate


@dataclass(frozen=True)
class RolloutConfig:
    """Training on a time series whose steps are predicted one by one.

    Attributes:
        feedback: Input of the next step: the ``"prediction"``, as in use, or the ``"truth"``
            (teacher forcing).
        pushforward: Whether gradients stop at the input of each step (Brandstetter et al., arXiv
            2202.03376), which needs less memory and trains the model to correct its own errors.
        noise: Standard deviation of the normal noise that is added to the normalised past, drawn
            once for each step (Sanchez-Gonzalez et al., arXiv 2002.09405): to the known steps, and
            by a model with ``history`` and feedback ``"truth"`` to all that it sees.
        input_steps: Steps that a model with ``history`` sees at a time, 1 by default; the known
            steps are read one after the other.
        truncate: Steps after which gradients stop at the state of a model with ``history``
            (truncated backpropagation through time); by default never.
    """

    feedback: Literal["prediction", "truth"] = "prediction"
    pushforward: bool = False
    noise: float = 0.0
    input_steps: int | None = None
    truncate: int | None = None

    def __post_init__(self) -> None:
        if self.noise < 0:
            raise ValueError(f"rollout.noise: expected at least 0 (got {self.noise})")
        for name in ("input_steps", "truncate"):
            if (steps := getattr(self, name)) is not None and steps < 1:
                raise ValueError(f"rollout.{name}: expected at least 1 (got {steps})")
        if self.pushforward and self.feedback == "truth":
            raise ValueError(
                "rollout.pushforward: has no effect with feedback 'truth', which has no gradients; "
                "leave it out"
            )


def unroll(surrogate: Surrogate, data: Data, config: RolloutConfig, group: Any = None) -> Tensor:
    """Prediction [N, C] of all time steps of ``data.y``, in physical units."""
    rollout, x, y = surrogate.rollout, data.x, data.y
    assert rollout is not None
    assert isinstance(x, Tensor)
    assert isinstance(y, Tensor)
    if surrogate.model.has_history and config.feedback == "truth":
        seen = _with_noise(surrogate, config.noise, rollout.along, x, y)
        found = predict_in_parallel(surrogate, data, seen, config.truncate)
        return rollout.join(found[-len(rollout.split(y)) :])
    truth = rollout.split(y)

    def feed(number: int, step: Tensor) -> Tensor:
        if config.feedback == "truth":
            return truth[number]
        return step.detach() if config.pushforward else step

    known = _with_noise(surrogate, config.noise, rollout.known, x)
    return predict_steps(
        surrogate, data, known, len(truth), feed, truncate=config.truncate, group=group
    )


def _with_noise(
    surrogate: Surrogate, noise: float, see: Callable[..., list[Tensor]], *fields: Tensor
) -> list[Tensor]:
    """What the model sees of the fields, with noise in the past, in its standard deviations.

    A step that is in several of the results has the same draw in each.
    """
    rollout, normalizer, seen = surrogate.rollout, surrogate.x_normalizer, see(*fields)
    if not noise or rollout is None:
        return seen
    past = torch.tensor(rollout.past, device=seen[0].device)
    past = pad(past, (0, seen[0].shape[1] - len(past)))
    draws = see(*(torch.randn_like(field) for field in fields))
    pairs = zip(seen, draws, strict=True)
    noisy = (normalizer.inverse(normalizer(x) + noise * draw) for x, draw in pairs)
    return [torch.where(past, with_noise, x) for with_noise, x in zip(noisy, seen, strict=True)]
