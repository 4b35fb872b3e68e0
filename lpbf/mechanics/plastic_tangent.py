"""What flowing cells change in the stiffness of the part."""

import torch
from torch import Tensor

from lpbf.core.threads import one_thread
from lpbf.mechanics.plastic_element import Flow, PlasticElement


class PlasticTangent:
    """The consistent tangent less the elastic stiffness, of the cells that flow; symmetric.

    Takes 4.6 kB for each of them.

    Args:
        element: The brick.
        nodes: Of the standing cells, [n, 8].
        flows: The cells that flow, and how.
        damping: Share of the change that is left out, to make the steps of Newton's method shorter.
    """

    @one_thread()
    def __init__(
        self, element: PlasticElement, nodes: Tensor, flows: list[Flow], damping: float = 0.0
    ):
        self.nodes = nodes[torch.cat([flow.cells for flow in flows])]
        options = {"dtype": torch.float64, "device": nodes.device}
        self.changes = torch.empty(len(self.nodes), 24, 24, **options)
        start = 0
        for flow in flows:
            stop = start + len(flow.cells)
            element.tangent_changes(flow, self.changes[start:stop])
            start = stop
        if damping:
            self.changes *= 1 - damping

    @one_thread()
    def __call__(self, u: Tensor) -> Tensor:
        """Nodal forces [size, 3] of displacements u [size, 3]."""
        moved = u.contiguous()[self.nodes].view(-1, 24, 1)
        forces = torch.bmm(self.changes, moved).view(-1, 3)
        return u.new_zeros(u.shape).index_add_(0, self.nodes.flatten(), forces)
