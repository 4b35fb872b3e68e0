"""Random subsets of the nodes."""

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import check_single, optional_weight


@functional_transform("random_nodes")
class RandomNodes(BaseTransform):
    """A random subset of the nodes, drawn at each access, with the fields that stand on them.

    Cells and edges do not survive; what belongs to the whole graph does. A model that averages
    over the nodes, as FLARE does, learns the same field from a subset at a fraction of the cost;
    features that need the whole mesh must be there before.

    Shares of volume or area, ``weight`` w [N] with the sum W, become those of the n nodes that
    are kept, so that sums over them stand for the integrals over the mesh. Their sum stays W.

    - ``by="uniform"``: every node alike; weights ``w_i W / sum of the kept w``. The estimator of
      an integral is the ratio estimator, whose bias is of the order 1/n.
    - ``by="weight"``: nodes in proportion to their weight, so that a refined region gets no more
      points than its size deserves; weights ``W / n``, each point standing for the same volume.
      The estimator has no bias. Nodes of weight 0 are never drawn. Without replacement the draw
      is systematic (Madow 1949) in random order, and nodes above ``W / n``, which are sure to be
      kept, keep their own weight, the others sharing what is left.

    Args:
        num_nodes: Nodes to keep; without replacement a smaller graph stays whole.
        replace: Whether a node may be drawn several times.
        by: ``"uniform"`` or ``"weight"``.
        generator: Source of the numbers, without loader workers (each would draw the same); None
            for torch's own, which loaders seed in each worker.

    Raises:
        ValueError: If an option is unknown or ``num_nodes`` is below 1; on access, if the data is
            a batch, or draws by weight and has none.
    """

    def __init__(
        self,
        num_nodes: int,
        *,
        replace: bool = False,
        by: str = "uniform",
        generator: torch.Generator | None = None,
    ) -> None:
        if num_nodes < 1:
            raise ValueError(f"RandomNodes: expected num_nodes >= 1 (got {num_nodes})")
        if by not in ("uniform", "weight"):
            raise ValueError(f"RandomNodes: expected by 'uniform' or 'weight' (got '{by}')")
        self.num_nodes = num_nodes
        self.replace = replace
        self.by = by
        self.generator = generator

    def forward(self, data: Data) -> Data:
        check_single(data, "RandomNodes")
        total = data.num_nodes or 0
        weight = optional_weight(data, "RandomNodes")
        if self.by == "weight":
            if weight is None:
                raise ValueError(
                    "RandomNodes: by='weight' needs 'weight' [N], each node's share of volume or "
                    "area (got none)"
                )
            shares = weight.to("cpu", torch.float64)
            kept, new = self._repeatedly(shares) if self.replace else self._systematically(shares)
            new = new.to(weight)
        else:
            if self.replace and total:
                kept = torch.randint(total, (self.num_nodes,), generator=self.generator)
            else:
                kept = torch.randperm(total, generator=self.generator)[: self.num_nodes]
            new = None
            if weight is not None:
                drawn = weight[kept].double()
                if not bool(drawn.any()):
                    raise ValueError(
                        "RandomNodes: none of the nodes drawn has a weight above 0; keep more "
                        "nodes, or draw them by='weight'"
                    )
                new = (drawn * (weight.double().sum() / drawn.sum())).to(weight)
        out = _kept(data, kept)
        if new is not None:
            out.weight = new
        return out

    def _rand(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator, dtype=torch.float64)

    def _repeatedly(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Independent draws in proportion to the weights, and the nodes' new weights."""
        total = weight.cumsum(0)
        kept = torch.searchsorted(total, self._rand(self.num_nodes) * total[-1], right=True)
        return kept, (total[-1] / self.num_nodes).expand(self.num_nodes)

    def _systematically(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Different nodes in proportion to the weights, and their new weights."""
        order = torch.randperm(len(weight), generator=self.generator)
        order = order[weight[order] > 0]
        shares = weight[order]
        if self.num_nodes >= len(order):
            return order, shares
        # Which nodes weigh at least an equal share of what the lighter ones have left to draw:
        # of the nodes in falling order, the first k with shares[k] * (n - k) >= the sum from k on.
        falling = shares.sort(descending=True).values
        rest = falling.flip(0).cumsum(0).flip(0)[: self.num_nodes]
        places = self.num_nodes - torch.arange(self.num_nodes)
        sure_count = int((falling[: self.num_nodes] * places >= rest).cumprod(0).sum())
        sure = torch.zeros(len(order), dtype=torch.bool)
        sure[shares.argsort(descending=True)[:sure_count]] = True
        certain, certain_shares = order[sure], shares[sure]
        count = self.num_nodes - sure_count
        if not count:
            return certain, certain_shares
        order, shares = order[~sure], shares[~sure]
        total = shares.cumsum(0)
        # Ticks one step apart, with a random start, along the nodes laid end to end.
        ticks = (torch.arange(count) + self._rand(1)) / count * total[-1]
        drawn = torch.searchsorted(total, ticks, right=True).clamp_(max=len(order) - 1)
        new = (total[-1] / count).expand(count)
        return torch.cat([certain, order[drawn]]), torch.cat([certain_shares, new])


def _kept(data: Data, kept: Tensor) -> Data:
    """The nodes ``kept`` as plain data, with what belongs to the whole graph."""
    out = Data()
    for key, value in data.to_dict().items():
        if key == "num_nodes":
            out.num_nodes = len(kept)
        elif isinstance(value, (Tensor, np.ndarray)):
            if data.is_node_attr(key):
                out[key] = value[kept]
            elif not _on_edges_or_cells(data, key) and (not value.ndim or len(value) == 1):
                out[key] = value
        elif "adj" not in key and key != "field_units":  # which only a MeshData reads
            out[key] = value
    return out


def _on_edges_or_cells(data: Data, key: str) -> bool:
    connects = key in ("edge_index", "face") or key.startswith(("cell_", "adj"))
    return connects or data.is_edge_attr(key)
