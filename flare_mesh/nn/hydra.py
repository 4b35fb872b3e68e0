"""The bidirectional sequence mixer Hydra."""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.functional import pad, silu, softplus

from flare_mesh.nn.init import init_step_bias
from flare_mesh.nn.option_checks import check_at_least, check_choice, head_width
from flare_mesh.nn.resolver import RMSNorm
from flare_mesh.ops.state_space import state_space_chunks, state_space_dense, state_space_scan

KERNEL_SIZE = 3  # as in LaMO; Hydra's own default is 7
STATE_SPACES: Mapping[str, Callable[..., Tensor]] = {
    "dense": state_space_dense,
    "chunks": state_space_chunks,
    "scan": state_space_scan,
}
"""Forms of the recurrence: with the matrix of decays, in chunks, and state after state."""
_GROUPS = 2
_HEAD_CHANNELS = 64


class Hydra(nn.Module):
    r"""Mix a sequence by a quasi-separable matrix (Hydra, arXiv 2407.09941).

    The input u is projected to a gate z, to x with keys and queries of two directions, and to time
    steps :math:`\Delta`; x, keys and queries pass a depthwise convolution and SiLU. In each head,
    with :math:`\vec y_t` the output of :func:`~flare_mesh.ops.state_space.state_space_dense`, and
    :math:`\overleftarrow y_t` that of the reversed sequence with the keys, queries and steps of
    the other direction,

    .. math::
        o_t = \vec y_{t-1} + \overleftarrow y_{t+1} + (w \cdot x_t + d)\, x_t, \quad
        v = W\, (\mathrm{RMSNorm}(o) \odot \mathrm{SiLU}(z))

    where outputs beyond the ends are 0, and :math:`w \cdot x_t` is over all heads. So a matrix
    between the positions has three independent parts, below, above and on its diagonal. Both
    directions have the same rates and the same initial state, which are learned.

    As in the authors' code; this is plain PyTorch, without their kernels.

    Args:
        channels: Channels C.
        expand: Width of x over C.
        state_size: Numbers S of a state for each channel of x.
        head_channels: Channels of a head; by default the largest number up to 64 with which the
            heads can be divided into two groups, each of which has its own keys and queries.
        form: ``"dense"``, ``"chunks"`` or ``"scan"``, which give the same: L^2 operations a head at
            once, or operations linear in L, in chunks or one position after another.

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
        width = head_width(self, inner, head_channels, most=_HEAD_CHANNELS, groups=_GROUPS)
        self.heads, self.form = inner // width, form
        self.keys = 2 * _GROUPS * state_size  # of one direction, with the queries
        mixed = inner + 2 * self.keys
        self.project = nn.Linear(channels, inner + mixed + 2 * self.heads, bias=False)
        self.convolution = nn.Conv1d(
            mixed, mixed, KERNEL_SIZE, groups=mixed, padding=KERNEL_SIZE // 2
        )
        self.initial_state = nn.Parameter(torch.empty(self.heads, width, state_size))
        self.step_bias = nn.Parameter(torch.empty(self.heads))
        self.log_rate = nn.Parameter(torch.empty(self.heads))
        self.skip = nn.Parameter(torch.empty(self.heads))
        self.project_skip = nn.Linear(inner, self.heads, bias=False)
        self.norm = RMSNorm(inner, eps=1e-5)
        self.out = nn.Linear(inner, channels, bias=False)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the parameters that no inner layer has: rates -1, skip 1, initial state 0."""
        init_step_bias(self.step_bias)
        nn.init.zeros_(self.log_rate)
        nn.init.zeros_(self.initial_state)
        nn.init.ones_(self.skip)

    def forward(self, u: Tensor) -> Tensor:
        inner = self.norm.normalized_shape[0]
        gate, mixed, step = self.project(u).split(
            [inner, inner + 2 * self.keys, 2 * self.heads], dim=-1
        )
        mixed = silu(self.convolution(mixed.transpose(1, 2)).transpose(1, 2))
        x, ahead, behind = mixed.split([inner, self.keys, self.keys], dim=-1)
        skip = self.project_skip(x) + self.skip
        x = x.unflatten(-1, (self.heads, -1))
        key, query = _stack(ahead, behind).unflatten(-1, (2, _GROUPS, -1)).unbind(2)
        y = STATE_SPACES[self.form](
            _stack(x, x),
            softplus(_stack(*step.chunk(2, dim=-1)) + self.step_bias),
            -self.log_rate.exp(),
            key,
            query,
            self.initial_state,
        )
        y = pad(y[:, :-1], (0, 0, 0, 0, 1, 0))  # the diagonal belongs to the skip
        forward, backward = y.chunk(2)
        y = forward + backward.flip(1) + x * skip[..., None]
        return self.out(self.norm(y.flatten(-2)) * silu(gate))


def _stack(ahead: Tensor, behind: Tensor) -> Tensor:
    """Sequences of both directions [2 B, L, ...], the second reversed."""
    return torch.cat([ahead, behind.flip(1)])
