"""A symmetric matrix that couples each cell to its six neighbours."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Stencil:
    """y = diagonal x - sum over the neighbours of link x_neighbour.

    Attributes:
        diagonal: [n].
        links: To the neighbour in -x, +x, -y, +y, -z, +z, 0 if there is none, [6, n].
        neighbours: Cell numbers, any valid one if there is none, [6, n].
    """

    diagonal: Tensor
    links: Tensor
    neighbours: Tensor

    def apply(self, x: Tensor) -> Tensor:
        """The product with x [n]."""
        product = self.diagonal * x
        for link, cells in zip(self.links, self.neighbours, strict=True):
            product.addcmul_(link, x.index_select(0, cells), value=-1)
        return product
