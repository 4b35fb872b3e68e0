"""The General Neural Operator Transformer."""

import torch
from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import Nodes
from flare_mesh.nn import ResidualMLP
from flare_mesh.nn.gnot_block import GNOTBlock
from flare_mesh.nn.option_checks import check_choice

_STREAMS = ("queries", "inputs")


class GNOT(FieldModel):
    r"""Transformer with linear attention and experts gated by position (arXiv 2302.14376).

    The queries q and the input field y are networks of [pos, x] at the nodes. Blocks
    (:class:`~flare_mesh.nn.gnot_block.GNOTBlock`) of cross-attention to the input field,
    self-attention and experts are followed by a pointwise head. The cost is linear in the nodes.

    .. math::
        q_{l+1} = \mathrm{Block}_l(q_l, y) \quad\text{or}\quad y_{l+1} = \mathrm{Block}_l(q, y_l)

    The first, ``stream="queries"``, is the paper's. The second, ``"inputs"``, is in the Neural
    Solver Library, with which FLARE (arXiv 2508.12594) was compared: each block starts from the
    same queries, and the number of parameters is the same.

    Departures from the authors' code: they pad graphs with zero features and sum over the padding
    too, so that a graph's result depends on its batch; here it does not. As in the Neural Solver
    Library, embeddings and head have one hidden layer of width 2 C, and a learned constant is
    added to the input field. That library's distances to a regular grid of reference points, for
    structured meshes only, are left out. FLARE's comparison gates by [pos, x], here by position
    as in the paper; without features both are the same. GELU is the tanh form (the authors' is
    exact; they differ by up to 5e-4).

    Sizes and options without an entry are as in :class:`~flare_mesh.FLAREOperator`.

    Args:
        num_experts: Experts of each pointwise network.
        mlp_ratio: Width of the experts' hidden layers over C.
        stream: Field that the blocks update, ``"queries"`` or ``"inputs"``.

    Shapes:
        As :meth:`FieldModel.forward`. ``weight`` multiplies each node's term in the attention's
        sums over the nodes, which become quadratures.

    Raises:
        ValueError: If a size does not fit, or ``stream`` is unknown.
    """

    NAME = "gnot"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 128,
        num_layers: int = 8,
        heads: int = 8,
        num_experts: int = 3,
        pos_dim: int = 3,
        mlp_ratio: float = 2.0,
        stream: str = "queries",
        act: str = "gelu",
    ) -> None:
        super().__init__(locals())
        check_choice(self, _STREAMS, stream=stream)
        c = hidden_channels
        features = pos_dim + in_channels
        self.query = ResidualMLP(features, 2 * c, c, 0, act=act)
        self.input = ResidualMLP(features, 2 * c, c, 0, act=act)
        self.constant = nn.Parameter(torch.empty(c))
        self.blocks = nn.ModuleList(
            GNOTBlock(
                c, pos_dim, heads=heads, num_experts=num_experts, mlp_ratio=mlp_ratio, act=act
            )
            for _ in range(num_layers)
        )
        self.head = ResidualMLP(c, 2 * c, out_channels, 0, act=act)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear weights from N(0, 0.02), biases zero; the constant from U(0, 1 / C)."""
        nn.init.uniform_(self.constant, 0.0, 1 / len(self.constant))
        for module in (self.query, self.input, *self.blocks, self.head):
            module.reset_parameters()  # pyright: ignore[reportCallIssue]

    def evaluate(self, nodes: Nodes) -> Tensor:
        features, log_weight = nodes.features(), nodes.graphs.log_weight
        weight = None if log_weight is None else log_weight.exp()
        products = nodes.graphs.layout.products(features.shape[0])
        query, field = self.query(features), self.input(features) + self.constant
        for block in self.blocks:
            mixed = block(query, field, nodes.pos, products, weight)
            if self.config["stream"] == "queries":
                query = mixed
            else:
                field = mixed
        return self.head(query if self.config["stream"] == "queries" else field)
