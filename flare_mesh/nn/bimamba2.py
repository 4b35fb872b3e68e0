"""A bidirectional Mamba-2, the sequence mixer of LaMO on grids."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, silu, softplus

from flare_mesh.nn.hydra import KERNEL_SIZE, STATE_SPACES
from flare_mesh.nn.init import init_step_bias
from flare_mesh.nn.option_checks import check_at_least, check_choice, head_width
from flare_mesh.nn.resolver import RMSNorm

_HEAD_CHANNELS = 32
_RATES = (1.0, 16.0)


class BiMamba2(nn.Module):
    r"""Mean of a Mamba-2 along a sequence and one against it (LaMO, arXiv 2505.19105).

    Both directions have the same projections of the input u, to a gate z, to (x, keys, queries)
    and to time steps, the same norm and the same output layer; each has its own causal depthwise
    convolution before SiLU, rates, bias of the steps, and factor d. In a direction, with y the
    output of :func:`~flare_mesh.ops.state_space.state_space_dense`,

    .. math::
        v = W\, \mathrm{RMSNorm}((y + d\, x) \odot \mathrm{SiLU}(z))

    As in the authors' code; this is plain PyTorch, without their kernels.

    Args:
        channels: Channels C.
        expand: Width of x over C.
        state_size: Numbers S of a state for each channel of x.
        head_channels: Channels of a head; by default the largest divisor of the width of x up to
            32.
        form: As in :class:`~flare_mesh.nn.hydra.Hydra`.

    Shapes:
        u [B, L, C], output [B, L, C].

    Raises:
        ValueError: If the sizes do not fit together, or ``form`` is unknown.
    """

    def __init__(
        self,
        channels: int,
        *,
        expand: int = 2,
        state_size: int = 64,
        head_channels: int | None = None,
        form: str = "dense",
    ) -> None:
        super().__init__()
        check_at_least(self, 1, channels=channels, expand=expand, state_size=state_size)
        check_choice(self, list(STATE_SPACES), form=form)
        inner = expand * channels
        width = head_width(self, inner, head_channels, most=_HEAD_CHANNELS)
        self.heads, self.form = inner // width, form
        self.sizes = [inner, state_size, state_size]
        mixed = sum(self.sizes)
        self.project = nn.Linear(channels, inner + mixed + self.heads, bias=False)
        self.ahead, self.behind = _Direction(mixed, self.heads), _Direction(mixed, self.heads)
        self.norm = RMSNorm(inner, eps=1e-5)
        self.out = nn.Linear(inner, channels, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the parameters that no inner layer has, equal in both directions.

        Rates are minus numbers from U(1, 16); the factor d is 1.
        """
        init_step_bias(self.ahead.step_bias)
        with torch.no_grad():
            nn.init.uniform_(self.ahead.log_rate, *_RATES).log_()
            self.behind.step_bias.copy_(self.ahead.step_bias)
            self.behind.log_rate.copy_(self.ahead.log_rate)
        for direction in (self.ahead, self.behind):
            nn.init.ones_(direction.skip)

    def forward(self, u: Tensor) -> Tensor:
        gate, mixed, step = self.project(u).split(
            [self.sizes[0], sum(self.sizes), self.heads], dim=-1
        )
        y = self._mix(self.ahead, mixed, step, gate)
        reverse = self._mix(self.behind, mixed.flip(1), step.flip(1), gate.flip(1))
        return self.out((y + reverse.flip(1)) / 2)

    def _mix(self, direction: "_Direction", mixed: Tensor, step: Tensor, gate: Tensor) -> Tensor:
        """Outputs [B, L, inner] of one direction along the given order."""
        x, key, query = direction.convolve(mixed).split(self.sizes, dim=-1)
        x = x.unflatten(-1, (self.heads, -1))
        step = softplus(step + direction.step_bias)
        rate = -direction.log_rate.exp()
        y = STATE_SPACES[self.form](x, step, rate, key[:, :, None], query[:, :, None])
        y = y + x * direction.skip[:, None]
        return self.norm(y.flatten(-2) * silu(gate))


class _Direction(nn.Module):
    """The parameters of one direction."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, channels, KERNEL_SIZE, groups=channels)
        self.step_bias = nn.Parameter(torch.empty(heads))
        self.log_rate = nn.Parameter(torch.empty(heads))
        self.skip = nn.Parameter(torch.empty(heads))

    def convolve(self, x: Tensor) -> Tensor:
        """SiLU of the causal convolution along [B, L, C]."""
        past = pad(x.transpose(1, 2), (KERNEL_SIZE - 1, 0))
        return silu(self.convolution(past).transpose(1, 2))
