"""The cases of a split as training reads them."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from torch.utils.data import Dataset
from torch_geometric.data import Data

from flare_mesh.datasets import FieldDataset
from flare_mesh.training.case_batch import batch_cases
from flare_mesh.training.case_sampler import CaseKey
from flare_mesh.training.seeding import seeded


class Cases(Dataset):
    """Some cases of a data set, reduced to ``pos``, ``x``, ``y``, and where there are ``weight``
    and ``edge_index``; by number one case, by a list of keys their batch.

    A batch has ``case_id`` and ``case_weight`` [B] besides. What a data set draws at random as it
    reads a case comes from the key's seed; without a key, or in memory, it is always the same.

    Args:
        dataset: The split.
        indices: Numbers of the cases in it.
        features: Makes what the model's input needs; before the cases are kept.
        augment: Applied at each access to a case of a batch, drawing from the key's seed.
        edges: Whether ``edge_index`` is kept.
        in_memory: Keeps all cases once they are read.
    """

    def __init__(
        self,
        dataset: FieldDataset,
        indices: Sequence[int],
        *,
        features: Callable[[Any], Any] | None = None,
        augment: Callable[[Any], Any] | None = None,
        edges: bool = False,
        in_memory: bool = False,
    ) -> None:
        self.dataset = dataset
        self.indices = list(indices)
        self.features = features
        self.augment = augment
        self.edges = edges
        self.in_memory = in_memory
        self._kept: dict[int, Data] = {}

    def __len__(self) -> int:
        return len(self.indices)

    @property
    def case_ids(self) -> list[str]:
        """Names of the cases."""
        return case_names(self.dataset, self.indices)

    def __getitem__(self, key: int | list[CaseKey]) -> Data:
        if isinstance(key, list):
            cases = [self._drawn(one.index, one.seed) for one in key]
            return batch_cases(cases, [one.weight for one in key])
        if not 0 <= key < len(self):
            raise IndexError(key)  # ends an iteration
        return self._case(key, key)

    def _case(self, index: int, seed: int) -> Data:
        case = self._kept.get(index)
        if case is None or (self.edges and "edge_index" not in case):
            # What is kept must not depend on when it is read.
            with seeded(index if self.in_memory else seed):
                case = self._read(index)
            if self.in_memory:
                self._kept[index] = case
        return case

    def _drawn(self, index: int, seed: int) -> Data:
        case = self._case(index, seed)
        if self.augment is None:
            return case
        with seeded(seed):
            return self.augment(case.clone())

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
                    f"case '{case.case_id}': the model looks at edges and the case has none; add "
                    f"'knn_edges', 'radius_edges' or 'mesh_edges' to data.features"
                )
            out.edge_index = case.edge_index
        return out


def case_names(dataset: FieldDataset, indices: Sequence[int]) -> list[str]:
    """Names of the cases of these numbers."""
    numbers: Any = dataset.indices()
    return [str(dataset.cases[numbers[i]]) for i in indices]
