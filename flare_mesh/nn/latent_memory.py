"""Latents of a series of meshes, step after step."""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from flare_mesh.nn.option_checks import check_choice
from flare_mesh.nn.series import Series
from flare_mesh.ops.packing import MASKED
from flare_mesh.ops.precision import wide

HISTORIES = ("equal", "fading")

# Half-lives of the first and the last latent of a head before training, in steps.
_SHORTEST, _LONGEST = 0.25, 32.0


class LatentState(NamedTuple):
    """What a layer keeps of the steps so far; its size does not grow.

    Attributes:
        logsumexp: Log-sum-exp of each latent's scores, [B, H, M], float32 (float64 in a model of
            that type); -1e30 before the first step.
        latent: Latents Z, [B, H, M, D], as ``logsumexp``.
    """

    logsumexp: Tensor
    latent: Tensor


class LatentMemory(nn.Module):
    r"""Latents over the steps of a series so far, from those of each step.

    .. math::
        L_{mb} = \log \sum_{c \le b} e^{L^c_m - (b - c) \lambda_m}, \qquad
        Z_{mb} = \sum_{c \le b} e^{L^c_m - (b - c) \lambda_m - L_{mb}}\, Z^c_m

    with the log-sum-exps L^c and latents Z^c of :func:`flare_mesh.flare_encode` of step c. With
    ``"equal"`` weights, :math:`\lambda = 0`, these are the latents of the nodes of all steps so far
    (:func:`flare_mesh.ops.flare_block_causal_attention`). ``"fading"`` learns a rate
    :math:`\lambda_m > 0` for each latent, whose half-lives begin between 1/4 and 32 steps: some
    latents see the present, others the past. All steps of a call are merged in O(log T) passes.

    Args:
        heads: Heads H.
        num_latents: Latents M of each head.
        history: ``"equal"`` or ``"fading"``.

    Raises:
        ValueError: If ``history`` is unknown.
    """

    def __init__(self, heads: int, num_latents: int, history: str) -> None:
        super().__init__()
        check_choice(self, HISTORIES, history=history)
        self.history = history
        self.log_rate = None
        if history == "fading":
            self.log_rate = nn.Parameter(torch.empty(heads, num_latents))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Half-lives of the latents of each head in a geometric row."""
        if self.log_rate is None:
            return
        first, last = (math.log(math.log(2) / life) for life in (_SHORTEST, _LONGEST))
        with torch.no_grad():
            self.log_rate.copy_(torch.linspace(first, last, self.log_rate.shape[1]))

    def forward(
        self, latent: Tensor, logsumexp: Tensor, series: Series, state: LatentState | None
    ) -> tuple[Tensor, LatentState]:
        """Latents [S, H, M, D] over the steps so far, and the state after the last ones.

        Args:
            latent: Latents of each step, [S, H, M, D].
            logsumexp: Their log-sum-exps, [S, H, M]; -inf for a step without nodes.
            series: The series of the steps.
            state: State of each series after earlier steps; None for none.
        """
        # Finite, so that merging two steps without nodes has no NaN in its gradient.
        now = LatentState(logsumexp.clamp_min(MASKED), latent)
        if state is None:
            shape = (len(series.length), *latent.shape[1:])
            state = LatentState(now.logsumexp.new_full(shape[:-1], MASKED), latent.new_zeros(shape))
        graph = torch.arange(len(latent), device=latent.device)
        span = 1
        while span < series.longest:
            # So far: the sums over the last ``span`` steps. After this: over twice as many.
            earlier = self._faded(now, (graph - span).clamp_min(0), span)
            now = _merge(now, _where(series.place >= span, earlier))
            span *= 2
        now = _merge(now, self._faded(state, series.number, series.place + 1))
        if not len(latent):
            return now.latent, state
        has_steps = series.length > 0
        last = _where(has_steps, LatentState(*(t[series.last] for t in now)))
        kept = _where(~has_steps, state)
        return now.latent, LatentState(
            torch.where(has_steps[:, None, None], last.logsumexp, kept.logsumexp),
            last.latent + kept.latent,
        )

    def _faded(self, state: LatentState, index: Tensor, steps: Tensor | int) -> LatentState:
        """Rows of a state, after a number of further steps."""
        total = state.logsumexp[index]
        if self.log_rate is not None:
            steps = steps[:, None, None] if isinstance(steps, Tensor) else steps
            total = total - wide(self.log_rate).exp() * steps
        return LatentState(total, state.latent[index])


def _where(valid: Tensor, state: LatentState) -> LatentState:
    """The state of some rows; as before the first step in the others."""
    valid = valid[:, None, None]
    # Not by weights of zero: a NaN stays in its series.
    return LatentState(
        state.logsumexp.where(valid, MASKED), state.latent.where(valid[..., None], 0.0)
    )


def _merge(a: LatentState, b: LatentState) -> LatentState:
    top = torch.maximum(a.logsumexp, b.logsumexp).detach()
    share_a, share_b = (a.logsumexp - top).exp(), (b.logsumexp - top).exp()
    total = share_a + share_b
    latent = (share_a / total)[..., None] * a.latent + (share_b / total)[..., None] * b.latent
    return LatentState(top + total.log(), latent)
