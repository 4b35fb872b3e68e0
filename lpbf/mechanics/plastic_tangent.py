"""Change of a part's stiffness by its yielded cells."""

import torch
from torch import Tensor

from lpbf.core.threads import one_thread, over_chunks
from lpbf.mechanics.plastic_element import YieldedCells

_CHUNK = 1024  # cells per product


class PlasticTangent:
    """Consistent tangent minus elastic stiffness of the yielded cells, a symmetric operator.

    It needs 4.6 kB per yielded cell.

    Args:
        nodes: Nodes of the active cells, [n, 8].
        yielded: The yielded cells in chunks.
        damping: Share of the elastic stiffness in the tangent, to shorten the steps of Newton's
            method.
        factor: Factor on each active cell's stiffness, [n]; None for 1.
    """

    def __init__(
        self,
        nodes: Tensor,
        yielded: list[YieldedCells],
        damping: float,
        factor: Tensor | None = None,
    ):
        self.nodes = nodes[torch.cat([chunk.cells for chunk in yielded])]
        options = {"dtype": torch.float64, "device": nodes.device}
        self.changes = torch.empty(len(self.nodes), 24, 24, **options)
        self._forces = torch.empty(len(self.nodes), 24, 1, **options)
        parts = self.changes.split([len(chunk.cells) for chunk in yielded])

        def write(start: int, stop: int) -> None:
            for chunk, part in zip(yielded[start:stop], parts[start:stop], strict=True):
                chunk.element.tangent_changes(chunk, part)
                if damping:
                    part *= 1 - damping
                if factor is not None:
                    part *= factor[chunk.cells, None, None]

        over_chunks(len(yielded), 1, write)

    def __call__(self, u: Tensor) -> Tensor:
        """Nodal forces [size, 3] of displacements u [size, 3]."""
        u = u.contiguous()

        def multiply(start: int, stop: int) -> None:
            local = u[self.nodes[start:stop]].view(-1, 24, 1)
            torch.bmm(self.changes[start:stop], local, out=self._forces[start:stop])

        count = len(self.nodes)
        over_chunks(count, _CHUNK if u.device.type == "cpu" else count, multiply)
        with one_thread():
            forces = self._forces.view(-1, 3)
            return u.new_zeros(u.shape).index_add_(0, self.nodes.flatten(), forces)
