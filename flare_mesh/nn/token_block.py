"""A transformer layer in which any tokens attend to a set of tokens of their graph."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from flare_mesh.nn.init import init_linear
from flare_mesh.nn.option_checks import check_heads, hidden_width
from flare_mesh.nn.positions import Rotation
from flare_mesh.nn.residual_mlp import ResidualMLP
from flare_mesh.ops.layout import Layout
from flare_mesh.ops.sdpa import biased_attention


class Keys(NamedTuple):
    """What tokens attend to.

    Attributes:
        key: Keys of S tokens of each graph, [B, S, H, D].
        value: Their values, [B, S, H, D].
        bias: Logarithm of the tokens' measure, [B, S], or None for equal measure.
    """

    key: Tensor
    value: Tensor
    bias: Tensor | None = None


class TokenBlock(nn.Module):
    r"""x + Attention(Norm(x), Norm(z)), then x + MLP(Norm(x)): tokens x attend to tokens z.

    .. math::
        Y = \mathrm{softmax}_S(Q K^T / \sqrt D + \log \mu)\, V

    in each head, followed by a Linear; Q is linear in x, K and V are linear in z, which have the
    measure :math:`\mu`. A token x sees no other token x. With ``cross`` this is the block of the
    Perceiver (arXiv 2103.03206), with 12 C^2 + 15 C parameters at ``mlp_ratio=4``. Without, x and
    z have one normalisation, 12 C^2 + 13 C parameters, and x may be the tokens z (self-attention)
    or others (queries that attend to anchors, arXiv 2502.09692).

    Args:
        channels: Channels C.
        heads: Attention heads H; divides C.
        mlp_ratio: Width of the MLP's hidden layer over C.
        cross: Whether z has a normalisation of its own.
        act: Activation, see :class:`ResidualMLP`.

    Raises:
        ValueError: If the sizes do not fit together.
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        *,
        mlp_ratio: float = 4.0,
        cross: bool = False,
        act: str = "gelu",
    ) -> None:
        super().__init__()
        c = channels
        check_heads(self, c, heads)
        self.heads = heads
        self.norm1 = nn.LayerNorm(c)
        self.key_norm = nn.LayerNorm(c) if cross else None
        self.query, self.key_value = nn.Linear(c, c), nn.Linear(c, 2 * c)
        self.out = nn.Linear(c, c)
        self.norm2 = nn.LayerNorm(c)
        self.mlp = ResidualMLP(c, hidden_width(self, c, mlp_ratio), c, 0, act=act)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Linear weights from N(0, 0.02), biases zero."""
        init_linear(self)

    def keys(
        self, tokens: Tensor, bias: Tensor | None = None, rotation: Rotation | None = None
    ) -> Keys:
        """Keys and values of the tokens z [B, S, C], with the logarithm of their measure."""
        norm = self.norm1 if self.key_norm is None else self.key_norm
        pairs = self.key_value(norm(tokens)).unflatten(-1, (2, self.heads, -1))
        key, value = pairs.unbind(-3)
        return Keys(key if rotation is None else rotation(key), value, bias)

    def forward(
        self,
        x: Tensor,
        keys: Keys,
        rotation: Rotation | None = None,
        layout: Layout | None = None,
    ) -> Tensor:
        """Output of the tokens x.

        Args:
            x: [B, M, C], or [N, C] with ``layout``.
            keys: From :meth:`keys`.
            rotation: Rotation of the queries by their position.
            layout: Graphs of tokens of unequal number.
        """
        query = self.query(self.norm1(x)).unflatten(-1, (self.heads, -1))
        query = query if rotation is None else rotation(query)
        if layout is None:
            mixed = _attend(query, keys)
        elif not layout.packing.groups:  # no tokens, but all parameters get a gradient
            mixed = query + (keys.key.sum() + keys.value.sum())
        else:
            mixed = layout.packing.unpack_nodes(
                [
                    _attend(group.pack(query), _select(keys, group.graphs))
                    for group in layout.packing.groups
                ]
            )
        x = x + self.out(mixed.flatten(-2))
        return x + self.mlp(self.norm2(x))

    def mix(
        self, tokens: Tensor, bias: Tensor | None = None, rotation: Rotation | None = None
    ) -> tuple[Tensor, Keys]:
        """Self-attention of tokens [B, S, C]: their output, and the keys for other tokens."""
        keys = self.keys(tokens, bias, rotation)
        return self(tokens, keys, rotation), keys

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.out.in_features}, heads={self.heads})"


def _select(keys: Keys, graphs: Tensor | slice) -> Keys:
    bias = None if keys.bias is None else keys.bias[graphs]
    return Keys(keys.key[graphs], keys.value[graphs], bias)


def _attend(query: Tensor, keys: Keys) -> Tensor:
    """[B, M, H, D] in and out."""
    q, k, v = (t.transpose(1, 2) for t in (query, keys.key, keys.value))
    # Autocast would round the bias to half precision.
    with torch.autocast(query.device.type, enabled=False):
        mixed = biased_attention(q, k, v, keys.bias, q.shape[-1] ** -0.5)
    return mixed.transpose(1, 2).to(query.dtype)
