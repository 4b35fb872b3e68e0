"""Perceiver IO, a baseline of FLARE."""

from typing import cast

import torch
from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import Nodes
from flare_mesh.nn import ResidualMLP
from flare_mesh.nn.init import init_linear
from flare_mesh.nn.latent_block import LatentBlock
from flare_mesh.nn.option_checks import check_choice
from flare_mesh.ops import backends


class PerceiverIO(FieldModel):
    r"""A transformer on latents between one encode and one decode (arXiv 2107.14795).

    The form in FLARE's comparison (arXiv 2508.12594): the embedding of a node is a
    :class:`~flare_mesh.nn.ResidualMLP` of [pos, x], then in each head

    .. math::
        Z = \mathrm{softmax}_N(Q K_h^T / \sqrt{D} + \log w)\, V_h, \quad
        Z \leftarrow \mathrm{Block}_L(\dots \mathrm{Block}_1(Z)), \quad
        Y = \mathrm{softmax}_M(Q_h K_Z^T / \sqrt{D})\, V_Z

    followed by a normalisation and a pointwise head. The cost is O(N M C) for the two
    cross-attentions and O(M^2 C) for each block.

    Departures of that comparison from the paper, followed here: the learned queries Q have no
    normalisation and projection; no residual and no pointwise MLP follow the two
    cross-attentions; input and head are residual networks. The learned biases of keys cancel in
    the softmax; they are here for the published number of parameters. Unlike there, graphs may
    have different sizes.

    Sizes and options without an entry are as in :class:`~flare_mesh.FLAREOperator`.

    Args:
        num_layers: Number of self-attention blocks on the latents.
        num_latents: Latents M, shared by the heads.
        mlp_ratio: Width of the blocks' MLPs over C.
        backend: Backend of the cross-attentions, see :func:`flare_mesh.flare_attention`.

    Shapes:
        As :meth:`FieldModel.forward`. The logarithm of ``weight`` is added to the scores in the
        softmax over the nodes, which becomes a quadrature.

    Raises:
        ValueError: If a size does not fit, or ``backend`` is unknown.
    """

    NAME = "perceiver_io"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 128,
        num_layers: int = 8,
        heads: int = 8,
        num_latents: int = 512,
        pos_dim: int = 3,
        mlp_ratio: float = 4.0,
        head_layers: int = 2,
        act: str = "gelu",
        backend: str = "auto",
    ) -> None:
        super().__init__(locals())
        check_choice(self, ("auto", *backends.NAMES), backend=backend)
        c = hidden_channels
        self.heads, self.backend = heads, backend
        self.embedding = ResidualMLP(pos_dim + in_channels, c, c, 2, output_residual=True, act=act)
        self.gather_query = nn.Parameter(torch.empty(num_latents, c))
        self.gather_norm = nn.LayerNorm(c)
        self.gather_key, self.gather_value, self.gather_out = (nn.Linear(c, c) for _ in range(3))
        self.blocks = nn.ModuleList(
            LatentBlock(c, heads, mlp_ratio=mlp_ratio, act=act) for _ in range(num_layers)
        )
        self.read_norm, self.latent_norm = nn.LayerNorm(c), nn.LayerNorm(c)
        self.read_query, self.read_key = nn.Linear(c, c), nn.Linear(c, c)
        self.read_value, self.read_out = nn.Linear(c, c), nn.Linear(c, c)
        self.norm = nn.LayerNorm(c)
        self.head = ResidualMLP(c, c, out_channels, head_layers, input_residual=True, act=act)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear weights from N(0, 0.02), biases zero; latent queries from N(0, 1)."""
        nn.init.normal_(self.gather_query)
        init_linear(self)

    def evaluate(self, nodes: Nodes) -> Tensor:
        layout, log_weight, _ = nodes.graphs
        how = {"scale": (self.gather_query.shape[1] // self.heads) ** -0.5, "backend": self.backend}
        h = cast(Tensor, self.embedding(nodes.features()))

        n = self.gather_norm(h)
        key, value = self._split(self.gather_key(n)), self._split(self.gather_value(n))
        query = self._split(self.gather_query).transpose(0, 1).to(key.dtype)
        query = query.expand(layout.num_graphs, *query.shape)
        latents = backends.encode_latents(query, key, value, layout, log_weight, **how)
        latents = self.gather_out(latents.transpose(1, 2).flatten(-2).to(key.dtype))
        for block in self.blocks:
            latents = block(latents)

        latents = self.latent_norm(latents)
        key = self._split(self.read_key(latents)).transpose(1, 2)
        value = self._split(self.read_value(latents)).transpose(1, 2)
        query = self._split(self.read_query(self.read_norm(h)))
        decoded = backends.decode(key, query, value, layout, **how)
        return self.head(self.norm(self.read_out(decoded.flatten(-2))))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))
