"""Exponential moving averages along a sequence."""

import torch
from torch import Tensor, nn
from torch.nn.functional import pad

from flare_mesh.ops.precision import wide

_LEAST_RATE = 1e-4


class MovingAverage(nn.Module):
    r"""Sums of damped exponential moving averages, in both directions (MEGA, arXiv 2209.10655).

    .. math::
        h^m_t = r_m h^m_{t-1} + \alpha_m \beta_m x_t, \quad e_t = \sum_m \eta_m h^m_t, \quad
        r_m = 1 - \alpha_m \delta_m

    in each channel, and the same of the reversed sequence; :math:`\alpha, \beta, \delta` are
    sigmoids of parameters, initially 1/2, and :math:`\eta` is from N(0, 0.02). As in FLARE's
    comparison (arXiv 2508.12594), both directions have the same parameters, and r is at least 1e-4.

    The recurrence is a convolution with :math:`\sum_m \eta_m \alpha_m \beta_m r_m^\tau`, computed
    by FFT over twice the length: exact for any length, in O(L log L). The comparison's code, which
    divides by :math:`r^t`, is wrong beyond about 200 places.

    Args:
        channels: Channels C.
        order: Averages of each channel.

    Shapes:
        x [B, L, C], output [B, L, 2 C], in float32 or float64.
    """

    def __init__(self, channels: int, order: int = 4) -> None:
        super().__init__()
        self.alpha, self.delta, self.beta, self.eta = (
            nn.Parameter(torch.empty(channels, order)) for _ in range(4)
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Logits 0, factors from N(0, 0.02)."""
        for logit in (self.alpha, self.delta, self.beta):
            nn.init.zeros_(logit)
        nn.init.normal_(self.eta, std=0.02)

    def forward(self, x: Tensor) -> Tensor:
        length = x.shape[1]
        size = _fft_length(2 * length)
        with torch.autocast(x.device.type, enabled=False):
            x = wide(x).transpose(1, 2)
            kernel = self._kernel(length, x.dtype)
            # Zeros beyond the end: the circular convolution of the FFT does not wrap around.
            signal, response = (torch.fft.rfft(pad(t, (0, size - length))) for t in (x, kernel))
            ahead = torch.fft.irfft(signal * response, n=size)
            behind = torch.fft.irfft(signal * response.conj(), n=size)
            both = torch.cat([ahead[..., :length], behind[..., :length]], dim=1)
            return both.transpose(1, 2)

    def _kernel(self, length: int, dtype: torch.dtype) -> Tensor:
        """Response to a unit impulse, [C, L]."""
        alpha, delta, beta = (t.to(dtype).sigmoid() for t in (self.alpha, self.delta, self.beta))
        log_rate = torch.log1p(-(alpha * delta).clamp(max=1 - _LEAST_RATE))
        time = torch.arange(length, device=alpha.device, dtype=dtype)
        # No exponent is positive: what has decayed becomes 0.
        powers = (log_rate[..., None] * time).exp()
        return ((self.eta.to(dtype) * alpha * beta)[:, None] @ powers)[:, 0]


def _fft_length(least: int) -> int:
    """A length of small prime factors, at most an eighth larger, of which FFTs are fast."""
    if torch.compiler.is_compiling():  # there lengths are symbols
        return max(least, 1)
    power = 1 << max(least.bit_length() - 4, 0)
    return max(-(-least // power) * power, 1)
