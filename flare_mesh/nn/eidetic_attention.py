"""The mixing layer of Transolver++."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.mixers.slice_attention import SliceAttention
from flare_mesh.nn.option_checks import check_choice

_LOWEST_TEMPERATURE = 0.01
_GUMBEL = ("train", "always", "never")


class EideticAttention(SliceAttention):
    r"""Physics-Attention with eidetic states (Transolver++, arXiv 2502.02414).

    The projected nodes are also the values. The temperature of a node is
    :math:`\tau_n = \max(\tau_h + \mathrm{GELU}(W_2\, \mathrm{GELU}(W_1 p_n)), 0.01)` with a learned
    :math:`\tau_h`, initially 0.5. With noise :math:`\gamma = -\log(-\log u)`, u uniform in (0, 1),
    the shares are a Gumbel-softmax (Rep-Slice).

    Args:
        channels, heads, num_slices: As in :class:`SliceAttention`.
        gumbel: When noise is added: ``"train"``, ``"always"`` or ``"never"``.

    Raises:
        ValueError: If the sizes do not fit together, or ``gumbel`` is unknown.
    """

    def __init__(self, channels: int, heads: int, num_slices: int, *, gumbel: str) -> None:
        super().__init__(channels, heads, num_slices)
        check_choice(self, _GUMBEL, gumbel=gumbel)
        self.gumbel = gumbel
        self.base_temperature = nn.Parameter(torch.empty(heads, 1, 1))
        self.local_temperature = nn.Sequential(
            nn.Linear(channels // heads, num_slices), nn.GELU(), nn.Linear(num_slices, 1), nn.GELU()
        )
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Set the temperatures of the heads; the model draws the linear layers."""
        nn.init.constant_(self.base_temperature, 0.5)

    def node_values(self, x: Tensor, projected: Tensor) -> Tensor:
        return projected

    def temperatures(self, projected: Tensor) -> Tensor:
        local = self.local_temperature(projected) + self.base_temperature
        return local.clamp(min=_LOWEST_TEMPERATURE)

    def noise(self, scores: Tensor) -> Tensor | None:
        noisy = self.training if self.gumbel == "train" else self.gumbel == "always"
        return gumbel_noise(scores) if noisy else None


def gumbel_noise(like: Tensor) -> Tensor:
    """-log(-log(u)) with u uniform in (0, 1), with the shape and dtype of ``like``."""
    u = torch.rand_like(like).clamp_(min=torch.finfo(like.dtype).tiny)
    return u.log_().neg_().log_().neg_()
