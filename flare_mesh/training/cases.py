"""Cases of a split, reduced to the fields that training needs."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset
from torch_geometric.data import Data

from flare_mesh.data.transforms import RandomNodes
from flare_mesh.datasets import FieldDataset
from flare_mesh.training.case_batch import NODE_FIELDS, batch_cases
from flare_mesh.training.case_sampler import CaseKey
from flare_mesh.training.seeding import seeded


class Cases(Dataset):
    """Cases of a data set with ``pos``, ``x``, ``y``, ``weight`` and ``edge_index`` alone.

    An index gives a case, a list of :class:`CaseKey` a batch with ``case_id`` and ``case_weight``
    [B]. Random numbers that a data set draws while it reads a case come from the key's seed; for an
    index, and with ``in_memory``, they are always the same.

    Args:
        dataset: The split.
        indices: Indices of the cases in the split.
        features: Transform that makes the model's input, applied before a case is cached.
        draw: Random choice of the nodes of a case of a batch, made at each access.
        augment: Random transform of a case of a batch, applied at each access after it.
        edges: Whether cases have ``edge_index``.
        in_memory: Whether cases are cached once they are read.
    """

    def __init__(
        self,
        dataset: FieldDataset,
        indices: Sequence[int],
        *,
        features: Callable[[Any], Any] | None = None,
        draw: RandomNodes | None = None,
        augment: Callable[[Any], Any] | None = None,
        edges: bool = False,
        in_memory: bool = False,
    ) -> None:
        self.dataset = dataset
        self.indices = list(indices)
        self.features = features
        self.draw = draw
        self.augment = augment
        self.edges = edges
        self.in_memory = in_memory
        self._cached: dict[int, Data] = {}

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def case_ids(self) -> list[str]:
        """Names of the cases."""
        return case_names(self.dataset, self.indices)

    def __getitem__(self, key: int | list[CaseKey]) -> Data:
        if isinstance(key, list):
            cases = [self._augmented(one.index, one.seed) for one in key]
            return batch_cases(cases, [one.weight for one in key])
        if not 0 <= key < len(self):
            raise IndexError(key)  # ends a for loop over the cases
        return self._case(key, key)

    def _case(self, index: int, seed: int) -> Data:
        case = self._cached.get(index)
        if case is None or (self.edges and "edge_index" not in case):
            # A cached case must not depend on the epoch in which it is read.
            with seeded(index if self.in_memory else seed):
                case = self._read(index)
            if self.in_memory:
                self._cached[index] = case
        return case

    def _augmented(self, index: int, seed: int) -> Data:
        case = self._case(index, seed)
        if self.augment is None and self.draw is None:
            return case
        with seeded(seed):
            case = case.clone() if self.draw is None else _draw_nodes(case, self.draw)
            return case if self.augment is None else self.augment(case)

    def _read(self, index: int) -> Data:
        case: Any = self.dataset[self.indices[index]]
        if self.features is not None:
            case = self.features(case)
        out = Data(pos=case.pos, y=case.y, case_id=case.case_id)
        if isinstance(case.x, Tensor):
            out.x = case.x
        if "weight" in case:
            out.weight = case.weight
        if self.edges:
            if case.edge_index is None:
                raise ValueError(
                    f"case '{case.case_id}': the model needs edges, but the case has none; add "
                    f"'knn_edges', 'radius_edges' or 'mesh_edges' to data.features"
                )
            out.edge_index = case.edge_index
        return out


def _draw_nodes(case: Data, draw: RandomNodes) -> Data:
    """``draw(case)`` for the fields of :class:`Cases`, in a third of the time."""
    size = len(case["pos"])
    nodes, weight = draw.draw(size, case.get("weight"))
    out = Data()
    for key, value in case.to_dict().items():
        out[key] = value[nodes] if key in NODE_FIELDS else value
    if weight is not None:
        out.weight = weight
    return out


def case_names(dataset: FieldDataset, indices: Sequence[int]) -> list[str]:
    """Names of the cases with these indices."""
    in_all: Any = dataset.indices()
    return [str(dataset.cases[in_all[i]]) for i in indices]
