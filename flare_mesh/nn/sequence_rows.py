"""A row before the first token of each sequence."""

import torch
from torch import Tensor

from flare_mesh.ops.layout import Layout, graph_of_nodes


def prepend(tokens: Tensor, row: Tensor, layout: Layout) -> tuple[Tensor, Layout]:
    """Put a row before the tokens of each sequence.

    Args:
        tokens: Tokens of S sequences, [N, C].
        row: The row, [C].
        layout: Offsets of the sequences.

    Returns:
        The rows [N + S, C], and their layout.
    """
    count, number = layout.num_graphs, torch.arange(layout.num_graphs + 1, device=tokens.device)
    slot = torch.arange(len(tokens), device=tokens.device) + 1
    slot = slot + graph_of_nodes(layout, len(tokens))
    ptr = layout.ptr + number
    rows = tokens.new_zeros(len(tokens) + count, tokens.shape[1])
    rows = rows.index_copy(0, slot, tokens)
    rows = rows.index_copy(0, ptr[:-1], row.to(tokens.dtype).expand(count, -1))
    if layout.equal is not None:
        return rows, Layout(ptr, equal=layout.equal + 1)
    if torch.compiler.is_compiling():
        return rows, Layout(ptr)
    return rows, Layout(ptr, offsets=[start + i for i, start in enumerate(layout.offsets)])
