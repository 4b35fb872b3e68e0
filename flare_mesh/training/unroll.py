"""Unrolling of a time series in training."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn.functional import pad
from torch_geometric.data import Data

from flare_mesh.surrogate.rollout import Rollout
from flare_mesh.surrogate.surrogate import Surrogate


@dataclass(frozen=True)
class RolloutConfig:
    """Training on a time series whose steps are predicted one by one.

    Attributes:
        feedback: Input of the next step: the ``"prediction"``, as in use, or the ``"truth"``
            (teacher forcing).
        pushforward: Whether gradients stop at the input of each step (Brandstetter et al., arXiv
            2202.03376), which needs less memory and trains the model to correct its own errors.
        noise: Standard deviation of the normal noise that is added once to the normalised past
            (Sanchez-Gonzalez et al., arXiv 2002.09405).
    """

    feedback: Literal["prediction", "truth"] = "prediction"
    pushforward: bool = False
    noise: float = 0.0

    def __post_init__(self) -> None:
        if self.noise < 0:
            raise ValueError(f"rollout.noise: expected at least 0 (got {self.noise})")
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
    if config.noise:
        x = _with_noise(surrogate, rollout, x, config.noise)
    steps: list[Tensor] = []
    for truth in rollout.split(y):
        step = surrogate.step(data, x, group=group)
        steps.append(step)
        if config.feedback == "truth":
            step = truth
        elif config.pushforward:
            step = step.detach()
        x = rollout.advance(x, step)
    return rollout.join(steps)


def _with_noise(surrogate: Surrogate, rollout: Rollout, x: Tensor, noise: float) -> Tensor:
    normalizer = surrogate.x_normalizer
    noisy = normalizer.inverse(normalizer(x) + noise * torch.randn_like(x))
    past = torch.tensor(rollout.past, device=x.device)
    return torch.where(pad(past, (0, x.shape[1] - len(past))), noisy, x)
