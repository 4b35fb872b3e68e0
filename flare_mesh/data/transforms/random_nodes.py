"""Random subset of the nodes."""

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.data.datapipes import functional_transform
from torch_geometric.transforms import BaseTransform

from flare_mesh.data.transforms.checks import check_single, optional_weight


@functional_transform("random_nodes")
class RandomNodes(BaseTransform):
    """Sample a random subset of the nodes with their fields at each access.

    Fields of the whole graph are preserved; cells and edges are removed. A model that averages over
    the nodes, as FLARE does, learns the same field from a subset at a fraction of the cost. Compute
    features of the whole mesh before.

    Quadrature weights ``weight`` w [N] with the sum W are scaled for the n sampled nodes, so that
    weighted sums estimate integrals over the mesh. Their sum remains W.

    - ``by="uniform"``: equal probabilities; the weights are ``w_i W / sum of the sampled w``. This
      is the ratio estimator of an integral, whose bias is of the order 1/n.
    - ``by="weight"``: probabilities proportional to the weight, so that the density of points does
      not depend on the refinement; the weights are ``W / n``. The estimator is unbiased. Nodes
      with weight 0 are never sampled. Without replacement the sampling is systematic (Madow 1949)
      in a random order; nodes above ``W / n`` are always sampled and keep their weight, and the
      other samples share the rest.

    Args:
        num_nodes: Nodes to sample; without replacement a smaller graph is not changed.
        replace: Whether a node may be sampled several times.
        by: ``"uniform"`` or ``"weight"``.
        generator: Random number generator, only without loader workers, which would all draw the
            same numbers; None for torch's global one.

    Raises:
        ValueError: If an option is unknown or ``num_nodes`` is below 1; on access, if the data is
            a batch, or has no weights for ``by="weight"``.
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
            raise ValueError(f"RandomNodes: expected by='uniform' or by='weight' (got '{by}')")
        self.num_nodes = num_nodes
        self.replace = replace
        self.by = by
        self.generator = generator

    def forward(self, data: Data) -> Data:
        check_single(data, "RandomNodes")
        total = data.num_nodes or 0
        weight = optional_weight(data, "RandomNodes")
        nodes, new = self.draw(total, weight)
        out = _select_nodes(data, nodes)
        if new is not None:
            out.weight = new
        return out

    def draw(self, total: int, weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """Indices of the sampled nodes and their weights.

        Args:
            total: Number N of nodes.
            weight: Quadrature weights, [N].
        """
        if self.by == "weight":
            if weight is None:
                raise ValueError(
                    "RandomNodes: by='weight' needs quadrature weights 'weight' [N] (got none); "
                    "apply QuadratureWeights first"
                )
            sample = self._with_replacement if self.replace else self._systematic
            nodes, new = sample(weight.to("cpu", torch.float64))
            new = new.to(weight)
        else:
            if self.replace and total:
                nodes = torch.randint(total, (self.num_nodes,), generator=self.generator)
            else:
                nodes = torch.randperm(total, generator=self.generator)[: self.num_nodes]
            new = None
            if weight is not None:
                drawn = weight[nodes].double()
                if not bool(drawn.any()):
                    raise ValueError(
                        "RandomNodes: all sampled nodes have the weight 0; sample more nodes, or "
                        "use by='weight'"
                    )
                new = (drawn * (weight.double().sum() / drawn.sum())).to(weight)
        return nodes, new

    def _rand(self, count: int) -> Tensor:
        return torch.rand(count, generator=self.generator, dtype=torch.float64)

    def _with_replacement(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Independent samples with probabilities proportional to the weights, and new weights."""
        total = weight.cumsum(0)
        nodes = torch.searchsorted(total, self._rand(self.num_nodes) * total[-1], right=True)
        return nodes, (total[-1] / self.num_nodes).expand(self.num_nodes)

    def _systematic(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Systematic sample without replacement, and new weights."""
        order = torch.randperm(len(weight), generator=self.generator)
        order = order[weight[order] > 0]
        shares = weight[order]
        if self.num_nodes >= len(order):
            return order, shares
        # Nodes that are always sampled: in falling order, the first k nodes with
        # shares[k] * (n - k) >= sum of shares[k:].
        count = self.num_nodes
        certain, certain_shares = order[:0], shares[:0]
        if bool(shares.max() * count >= shares.sum()):
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
        # Equally spaced ticks with a random start on the cumulative weights.
        ticks = (torch.arange(count) + self._rand(1)) / count * total[-1]
        drawn = torch.searchsorted(total, ticks, right=True).clamp_(max=len(order) - 1)
        new = (total[-1] / count).expand(count)
        return torch.cat([certain, order[drawn]]), torch.cat([certain_shares, new])


def _select_nodes(data: Data, nodes: Tensor) -> Data:
    """Some nodes as plain data, with the attributes of the whole graph."""
    out = Data()
    for key, value in data.to_dict().items():
        if key == "num_nodes":
            out.num_nodes = len(nodes)
        elif isinstance(value, (Tensor, np.ndarray)):
            if data.is_node_attr(key):
                out[key] = value[nodes]
            elif not _on_edges_or_cells(data, key) and (not value.ndim or len(value) == 1):
                out[key] = value
        elif "adj" not in key and key != "field_units":  # for MeshData only
            out[key] = value
    return out


def _on_edges_or_cells(data: Data, key: str) -> bool:
    connects = key in ("edge_index", "face") or key.startswith(("cell_", "adj"))
    return connects or data.is_edge_attr(key)
