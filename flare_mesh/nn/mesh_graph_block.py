"""The message passing of MeshGraphNet."""

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from flare_mesh.nn.resolver import build_activation
from flare_mesh.ops.precision import wide


def normed_mlp(in_channels: int, channels: int, mlp_layers: int, act: str) -> nn.Sequential:
    """An MLP with hidden layers of the output's width, and a LayerNorm of its output at the end.

    Args:
        in_channels: Input channels.
        channels: Channels of the hidden layers and the output.
        mlp_layers: Number of hidden layers.
        act: As in :class:`~flare_mesh.nn.ResidualMLP`.
    """
    layers: list[nn.Module] = [nn.Linear(in_channels, channels)]
    for _ in range(mlp_layers):
        layers += [build_activation(act), nn.Linear(channels, channels)]
    return nn.Sequential(*layers, nn.LayerNorm(channels))


class MeshGraphBlock(nn.Module):
    r"""One step of message passing (MeshGraphNet, arXiv 2010.03409).

    .. math::
        m_{ij} = \mathrm{MLP}_e([e_{ij}, h_i, h_j]), \quad
        h_i' = h_i + \mathrm{MLP}_v([h_i, \textstyle\sum_j \omega_{ij} a_{ij}]), \quad
        e_{ij}' = e_{ij} + m_{ij}

    for the edges from j to i, with :math:`a_{ij} = m_{ij}`, or :math:`e_{ij}'` with
    ``aggregate="edges"``, and :math:`\omega_{ij} = 1` without shares. The MLPs are
    :func:`normed_mlp`. The first layer of the edges' MLP is applied to the nodes before their
    values are gathered at the edges, of which there are several times as many.

    Args:
        channels: Channels C.
        mlp_layers: Hidden layers of each MLP.
        aggregate: What a node sums over its edges, ``"messages"`` or ``"edges"``.
        act: As in :func:`normed_mlp`.

    Shapes:
        nodes h [N, C]; edges e [E, C]; edge_index [2, E] from j to i; shares
        :math:`\omega` [E, 1], or None; output (h', e').
    """

    def __init__(self, channels: int, mlp_layers: int, *, aggregate: str, act: str) -> None:
        super().__init__()
        self.channels, self.aggregate = channels, aggregate
        self.edge_mlp = normed_mlp(3 * channels, channels, mlp_layers, act)
        self.node_mlp = normed_mlp(2 * channels, channels, mlp_layers, act)

    def forward(
        self, nodes: Tensor, edges: Tensor, edge_index: Tensor, shares: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        source, target = edge_index
        message = self._messages(nodes, edges, source, target)
        updated = edges + message
        summands = wide(message if self.aggregate == "messages" else updated)
        if shares is not None:
            summands = summands * shares.to(summands.dtype)
        sums = summands.new_zeros(nodes.shape[0], self.channels).index_add(0, target, summands)
        inputs = torch.cat([nodes, sums.to(nodes.dtype)], dim=-1)
        return nodes + self.node_mlp(inputs), updated

    def _messages(self, nodes: Tensor, edges: Tensor, source: Tensor, target: Tensor) -> Tensor:
        first, *others = self.edge_mlp
        assert isinstance(first, nn.Linear)
        of_edges, of_target, of_source = first.weight.split(self.channels, dim=1)
        h = linear(edges, of_edges, first.bias)
        h = h + linear(nodes, of_target).index_select(0, target)
        h = h + linear(nodes, of_source).index_select(0, source)
        for layer in others:
            h = layer(h)
        return h
