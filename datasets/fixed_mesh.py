"""Whether all cases have the same mesh, and which fields are the same in all."""

from torch import Tensor

from flare_mesh.mesh import MeshData

_SAME = 1e-6  # distance of nodes at the same position, over the extent


class FixedMesh:
    """Comparison of meshes, one after the other, with the first.

    Attributes:
        same_mesh: Whether all have the same cells, and nodes at the same positions.
        same_fields: Names of the fields with the same values in all.
    """

    def __init__(self) -> None:
        self.same_mesh = True
        self.same_fields: frozenset[str] = frozenset()
        self._first: MeshData | None = None
        self._fields: dict[str, Tensor] = {}

    def add(self, mesh: MeshData) -> None:
        """Compare another mesh."""
        fields = all_fields(mesh)
        if self._first is None:
            self._first = MeshData(mesh.pos)
            self._first.cell_index, self._first.cell_type = mesh.cell_index, mesh.cell_type
            self._fields, self.same_fields = fields, frozenset(fields)
            return
        if self.same_mesh:
            self.same_mesh = _is_same(self._first, mesh)
        self.same_fields &= equal_fields(self._fields, fields)
        # The values of the other fields are not needed any more.
        self._fields = {name: self._fields[name] for name in self.same_fields}


def all_fields(mesh: MeshData) -> dict[str, Tensor]:
    """Node, cell and case fields by name; a node field before another one of the same name."""
    return {**mesh.cell_fields, **mesh.case_fields, **mesh.node_fields}


def equal_fields(a: dict[str, Tensor], b: dict[str, Tensor]) -> frozenset[str]:
    """Names of the fields that have the same values in both."""
    return frozenset(
        name
        for name, values in a.items()
        if name in b and values.shape == b[name].shape and bool((values == b[name]).all())
    )


def _is_same(first: MeshData, other: MeshData) -> bool:
    if first.pos.shape != other.pos.shape or len(first.cell_index) != len(other.cell_index):
        return False
    extent = float((first.pos.amax(0) - first.pos.amin(0)).max())
    return (
        bool((first.cell_index == other.cell_index).all())
        and float((first.pos - other.pos).abs().max()) <= _SAME * extent
    )
