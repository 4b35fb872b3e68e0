"""Targets of one case at the nodes of another."""

from scipy.spatial import KDTree
from torch_geometric.data import Data

from flare_mesh.baselines.case_values import Array, relative_positions, targets


class CaseTargets:
    """Targets of a training case, for the nodes of any case.

    A node gets the value of the nearest node, in coordinates relative to the bounding boxes.

    Args:
        case: The training case.
    """

    def __init__(self, case: Data) -> None:
        self._values = targets(case)
        self._relative = relative_positions(case)[0]
        self._tree: KDTree | None = None

    def at(self, case: Data) -> Array:
        """Values [N, C] at the nodes of a case."""
        relative = relative_positions(case)[0]
        if relative.shape == self._relative.shape and (relative == self._relative).all():
            return self._values
        tree = self._tree = self._tree or KDTree(self._relative)
        return self._values[tree.query(relative)[1]]
