"""Quadrature weights of the nodes."""

from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.mesh.mesh_data import MeshData


@functional_transform("quadrature_weights")
class QuadratureWeights(BaseTransform):
    """Add the quadrature weights ``weight`` [N]: shares of length, area or volume (lumped mass).

    With them the models' averages over nodes approximate integrals over the mesh, independent of
    its refinement.

    Args:
        name: Key of the weights.

    Shapes:
        needs a :class:`~flare_mesh.MeshData` with cells, or a batch of them; adds ``weight`` [N].

    Raises:
        ValueError: On access, if the data has no cells.
    """

    def __init__(self, name: str = "weight") -> None:
        self.name = name

    def forward(self, data: Data) -> Data:
        if not isinstance(data, MeshData):
            raise ValueError(
                f"QuadratureWeights: expected a MeshData with cells (got {type(data).__name__})"
            )
        data[self.name] = data.quadrature_weights
        return data
