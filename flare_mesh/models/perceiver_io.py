"""The Perceiver IO surrogate."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import read_nodes
from flare_mesh.nn import ResidualMLP
from flare_mesh.nn.latent_block import LatentBlock
from flare_mesh.nn.option_checks import check_at_least, check_heads
from flare_mesh.ops import backends


class PerceiverIO(FieldModel):
    r"""Latents gather from the nodes once, attend to each other, and are read once.

    Perceiver IO (arXiv 2107.14795) in the form that FLARE (arXiv 2508.12594) was compared with:
    a node h is a :class:`~flare_mesh.nn.ResidualMLP` of [pos, x], then in each head

    .. math::
        Z = \mathrm{softmax}_N(Q K_h^T / \sqrt{D} + \log w)\, V_h, \quad
        Z \leftarrow \mathrm{Block}_L(\dots \mathrm{Block}_1(Z)), \quad
        Y = \mathrm{softmax}_M(Q_h K_Z^T / \sqrt{D})\, V_Z

    and a normalisation with a pointwise head. The cost is O(N M C) for the two cross-attentions
    and O(M^2 C) for each block.

    Departures of that comparison from the paper, followed here: the learned queries Q are used as
    they are, without normalisation and projection; the two cross-attentions have neither a
    residual nor a pointwise network behind them; input and head are residual networks. The
    learned biases of keys change nothing, as in any softmax; they are kept for the published
    number of parameters. Beyond it, graphs may be of unequal size.

    Args:
        in_channels: Features of each node beside its coordinates; 0 for none.
        out_channels: Field components to predict at each node.
        hidden_channels: Channels C of nodes and latents.
        num_layers: Number of self-attention blocks on the latents.
        heads: Attention heads; divides ``hidden_channels``.
        num_latents: Latents M, shared by the heads.
        pos_dim: Dimension of the coordinates.
        mlp_ratio: Width of the blocks' pointwise networks over C.
        head_layers: Residual hidden layers of the head.
        act: Activation of all networks, see :class:`~flare_mesh.nn.ResidualMLP`.
        backend: Backend of the cross-attentions, see :func:`flare_mesh.flare_attention`.

    Shapes:
        As :meth:`FieldModel.forward`. ``weight`` enters the softmax over the nodes as log w: the
        latents gather by quadrature.

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
        super().__init__(
            in_channels=in_channels,
            out_channels=out_channels,
            hidden_channels=hidden_channels,
            num_layers=num_layers,
            heads=heads,
            num_latents=num_latents,
            pos_dim=pos_dim,
            mlp_ratio=mlp_ratio,
            head_layers=head_layers,
            act=act,
            backend=backend,
        )
        c, name = hidden_channels, type(self).__name__
        check_heads(name, c, heads)
        check_at_least(name, 1, num_latents=num_latents)
        if backend not in (known := ("auto", *backends.NAMES)):
            raise ValueError(f"{name}: unknown backend '{backend}'; choose from {list(known)}")
        self.heads = heads
        self.backend = backend
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
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            elif isinstance(module, nn.LayerNorm):
                module.reset_parameters()

    def forward(
        self,
        x: Any,
        pos: Tensor | None = None,
        batch: Tensor | None = None,
        *,
        ptr: Tensor | None = None,
        weight: Tensor | None = None,
        edge_index: Tensor | None = None,
        batch_size: int | None = None,
    ) -> Tensor:
        nodes = read_nodes(self, x, pos, batch, ptr, weight, edge_index, batch_size)
        layout, log_weight, _ = nodes.graphs
        how = {"scale": (self.gather_query.shape[1] // self.heads) ** -0.5, "backend": self.backend}
        h = cast(Tensor, self.embedding(nodes.features()))

        n = self.gather_norm(h)
        key, value = self._split(self.gather_key(n)), self._split(self.gather_value(n))
        query = self._split(self.gather_query).transpose(0, 1).to(key.dtype)
        query = query.expand(layout.num_graphs, *query.shape)
        gathered = backends.gather(query, key, value, layout, log_weight, **how)
        latents = self.gather_out(gathered.transpose(1, 2).flatten(-2).to(key.dtype))
        for block in self.blocks:
            latents = block(latents)

        latents = self.latent_norm(latents)
        read = backends.decode(
            self._split(self.read_key(latents)).transpose(1, 2),
            self._split(self.read_query(self.read_norm(h))),
            self._split(self.read_value(latents)).transpose(1, 2),
            layout,
            **how,
        )
        return self.head(self.norm(self.read_out(read.flatten(-2))))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))
