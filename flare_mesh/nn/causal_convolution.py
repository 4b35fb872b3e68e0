"""Depthwise convolution of a token with those before it."""

import torch
from torch import Tensor, nn

from flare_mesh.ops.layout import Layout, graph_of_nodes


class CausalConvolution(nn.Module):
    r"""The sum :math:`y_t = x_t + \sum_{i<w} c_i \odot x_{t-i}` over a token and those before it.

    Short convolutions give layers of linear cost the order of neighbouring tokens (H3, arXiv
    2212.14052). Tokens before the first one of a sequence are zero.

    Args:
        channels: Channels C.
        width: Tokens w of the sum.

    Raises:
        ValueError: If the width is less than 1.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"expected a convolution over at least 1 token (got {width})")
        self.width = width
        self.weight = nn.Parameter(torch.empty(width, channels))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the weights from N(0, 0.1)."""
        nn.init.normal_(self.weight, std=0.1)

    def forward(self, x: Tensor, layout: Layout, before: Tensor | None) -> tuple[Tensor, Tensor]:
        """The sums [N, C], and the last tokens of each sequence for a later call.

        Args:
            x: Tokens of all sequences, [N, C].
            layout: The sequences.
            before: The last tokens of earlier calls, [B, w - 1, C]; None at the beginning.
        """
        reach, count = self.width - 1, layout.num_graphs
        if before is None:
            before = x.new_zeros(count, reach, x.shape[1])
        sequence = graph_of_nodes(layout, len(x))
        # The rows of a sequence: the tokens of earlier calls, then its own.
        slot = torch.arange(len(x), device=x.device) + reach * (sequence + 1)
        first = layout.ptr[:-1] + reach * torch.arange(count, device=x.device)
        earlier = (first[:, None] + torch.arange(reach, device=x.device)).flatten()
        rows = x.new_zeros(len(x) + reach * count, x.shape[1])
        rows = rows.index_copy(0, slot, x).index_copy(0, earlier, before.flatten(0, 1).to(x.dtype))
        y = x
        for i, weight in enumerate(self.weight.to(x.dtype)):
            y = y + weight * rows[slot - i]
        end = layout.ptr[1:] + reach * torch.arange(1, count + 1, device=x.device)
        return y, rows[end[:, None] - reach + torch.arange(reach, device=x.device)]
