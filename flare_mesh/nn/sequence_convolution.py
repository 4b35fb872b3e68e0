"""Depthwise convolution over the sequence of each graph's nodes."""

import torch
from torch import Tensor, nn
from torch.nn.functional import conv1d

from flare_mesh.nn.sequence import Places
from flare_mesh.ops.layout import Layout


class SequenceConvolution(nn.Module):
    """Convolve the nodes of each graph along their order, with zeros beyond its ends.

    Args:
        heads: Heads H; each has one kernel for all of its channels.
        kernel_size: Nodes in the kernel, an odd number.

    Raises:
        ValueError: If the kernel's size is even or not positive.
    """

    def __init__(self, heads: int, kernel_size: int) -> None:
        super().__init__()
        if kernel_size < 1 or kernel_size % 2 == 0:
            raise ValueError(f"expected an odd 'kernel_size' >= 1 (got {kernel_size})")
        self.kernel = nn.Parameter(torch.empty(heads, 1, kernel_size))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the kernels uniformly, as torch draws those of a convolution."""
        bound = self.kernel.shape[-1] ** -0.5
        nn.init.uniform_(self.kernel, -bound, bound)

    def forward(self, value: Tensor, layout: Layout, where: Places) -> Tensor:
        """The convolution at the nodes, [N, H, D] in and out."""
        reach = self.kernel.shape[-1] // 2
        # All graphs in one sequence, with as many zeros between two of them as the kernel reaches.
        slot = torch.arange(value.shape[0], device=value.device) + reach * where.graph
        length = value.shape[0] + reach * (layout.num_graphs + 1)
        blank = value.new_zeros(length, *value.shape[1:])
        rows = blank.index_copy(0, slot + reach, value).permute(2, 1, 0)
        out = conv1d(rows, self.kernel.to(rows.dtype), groups=len(self.kernel))
        return out.permute(2, 1, 0).index_select(0, slot)
