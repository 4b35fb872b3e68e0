"""Change of a part's stiffness by its yielded cells."""

import torch
from torch import Tensor

from lpbf.core.threads import one_thread
from lpbf.mechanics.plastic_element import PlasticElement, YieldedCells


class PlasticTangent:
    """Consistent tangent minus elastic stiffness of the yielded cells, a symmetric operator.

    It needs 4.6 kB per yielded cell.

    Args:
        element: The brick.
        nodes: Nodes of the active cells, [n, 8].
        yielded: The yielded cells in chunks.
        damping: Share of the elastic stiffness in the tangent, to shorten the steps of Newton's
            method.
    """

    @one_thread()
    def __init__(
        self, element: PlasticElement, nodes: Tensor, yielded: list[YieldedCells], damping: float
    ):
        self.nodes = nodes[torch.cat([chunk.cells for chunk in yielded])]
        options = {"dtype": torch.float64, "device": nodes.device}
        self.changes = torch.empty(len(self.nodes), 24, 24, **options)
        parts = self.changes.split([len(chunk.cells) for chunk in yielded])
        for chunk, part in zip(yielded, parts, strict=True):
            element.tangent_changes(chunk, part)
        if damping:
            self.changes *= 1 - damping

    @one_thread()
    def __call__(self, u: Tensor) -> Tensor:
        """Nodal forces [size, 3] of displacements u [size, 3]."""
        local = u.contiguous()[self.nodes].view(-1, 24, 1)
        forces = torch.bmm(self.changes, local).view(-1, 3)
        return u.new_zeros(u.shape).index_add_(0, self.nodes.flatten(), forces)
