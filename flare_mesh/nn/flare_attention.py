"""The FLARE mixing layer."""

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import torch
from torch import Tensor, nn

from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.init import init_linear
from flare_mesh.nn.latent_mixing import LatentMixing
from flare_mesh.nn.layer_input import layer_input
from flare_mesh.nn.merge import merge_over_group
from flare_mesh.nn.option_checks import check_at_least, check_choice, check_heads, key_and_value
from flare_mesh.nn.positions import Rotation
from flare_mesh.nn.residual_mlp import ResidualMLP
from flare_mesh.nn.resolver import build_norm
from flare_mesh.ops import backends
from flare_mesh.ops.rms_norm import rms_norm

_QUERIES = ("fixed", "synthesized")
_DECODES = ("shared", "encoded")


class Latents(NamedTuple):
    """Latents of one layer, from which its output at the nodes is decoded.

    Attributes:
        query: Latent queries, [B, H, M, D].
        value: Latent values Z, [B, H, M, D].
    """

    query: Tensor
    value: Tensor


class FLAREAttention(nn.Module):
    r"""Global mixing of N nodes through M latents, at cost O(N M C) (arXiv 2508.12594, eq. 6-9).

    Keys and values are :class:`ResidualMLP` of the input; each head has its own learned latent
    queries, and the latents do not attend to each other. See :func:`flare_mesh.flare_attention`
    for the equations. The options ``shared_latents``, ``latent_blocks``, ``gate_layers`` and
    unequal keys and values are variants in the authors' code.

    Args:
        channels: Channels C of input and output.
        heads: Heads H; divides ``channels``.
        num_latents: Latents M of each head.
        kv_layers: Residual hidden layers of the key and value projections; -1 for one Linear. One
            number, or a pair [keys, values].
        kv_ratio: Width of those hidden layers over C. One number, or a pair [keys, values].
        scale: Factor on the scores of both passes; None for 1 / sqrt(D).
        qk_norm: Whether to normalise the queries and keys of each head.
        queries: ``"fixed"``, learned and independent of the input; or ``"synthesized"`` from the
            input as in FLARE++ (arXiv 2608.11519), with RMS-normalised queries and keys, here on
            top of deep key and value projections (the paper's are linear: ``kv_layers=-1``). The
            paper starts the projections to keys, values and seed keys at the identity plus
            N(0, 0.02). So do keys and values here with ``kv_layers=-1``, by their residual; seed
            keys, whose length is normalised, start at N(0, 0.02).
        decode: ``"shared"``: decode with the keys of the encode. ``"encoded"``: nodes have a
            separate decode query, and the latents are both keys and values,
            :math:`Y = \mathrm{softmax}_M(s\, Q_d Z^T) Z`. The projection to it has the sizes of
            the one to the keys.
        shared_latents: Whether all heads have the same learned latent queries, [M, D] in all.
        latent_blocks: Number of transformer layers in which the latents attend to each other
            between encode and decode, see :class:`~flare_mesh.nn.latent_mixing.LatentMixing`.
        gate_layers: Residual hidden layers of a :class:`ResidualMLP` g, by which the mixed values Y
            are multiplied before the output projection, :math:`Y \odot \mathrm{sigmoid}(g(x))`
            (gated attention, arXiv 2505.06708); None for no gate.
        norm: Normalisation for ``qk_norm``, ``"layer"`` or ``"rms"``.
        act: Activation of the projections, see :class:`ResidualMLP`.
        backend: Backend of :func:`flare_mesh.flare_attention`.

    Shapes:
        x flat [N, C] with ``batch`` [N] or ``ptr`` [B + 1] (one graph without either), or dense
        [B, N, C] with an optional ``mask`` [B, N], True = valid; ``weight`` [N] or [B, N];
        output: shape of x, 0 at masked rows.

    Raises:
        ValueError: If the sizes do not fit together, or an option is unknown.
    """

    ROTARY: ClassVar[bool] = True
    """As :attr:`MixingLayer.ROTARY <flare_mesh.nn.mixing_layer.MixingLayer.ROTARY>`: the keys of
    the tokens are rotated, and the learned latent queries are not."""

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        num_latents: int = 64,
        *,
        kv_layers: int | Sequence[int] = 3,
        kv_ratio: float | Sequence[float] = 1.0,
        scale: float | None = 1.0,
        qk_norm: bool = False,
        queries: str = "fixed",
        decode: str = "shared",
        shared_latents: bool = False,
        latent_blocks: int = 0,
        gate_layers: int | None = None,
        norm: str = "layer",
        act: str = "gelu",
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        check_at_least(self, 1, num_latents=num_latents)
        check_at_least(self, 0, latent_blocks=latent_blocks)
        check_choice(self, _QUERIES, queries=queries)
        check_choice(self, _DECODES, decode=decode)
        check_choice(self, ("auto", *backends.NAMES), backend=backend)
        if queries == "synthesized" and (decode == "encoded" or qk_norm):
            other = "qk_norm=True" if qk_norm else "decode='encoded'"
            raise ValueError(
                "FLAREAttention: expected queries='synthesized' with qk_norm=False and "
                f"decode='shared' (got it with {other}): it normalises queries and keys itself"
            )
        c, d = channels, channels // heads
        self.channels, self.heads, self.num_latents = channels, heads, num_latents
        self.scale = d**-0.5 if scale is None else scale
        self.queries, self.decode, self.backend = queries, decode, backend

        def projection(layers: int, ratio: float) -> ResidualMLP:
            options = {"input_residual": True, "output_residual": True, "act": act}
            return ResidualMLP(c, int(c * ratio), c, layers, **options)

        key_layers, value_layers = key_and_value(self, kv_layers=kv_layers)
        key_ratio, value_ratio = key_and_value(self, kv_ratio=kv_ratio)
        sets = 1 if shared_latents else heads
        self.latent_query = nn.Parameter(torch.empty(sets, num_latents, d))
        self.key = projection(key_layers, key_ratio)
        self.value = projection(value_layers, value_ratio)
        self.query_norm = build_norm(norm, d) if qk_norm else nn.Identity()
        self.key_norm = build_norm(norm, d) if qk_norm else nn.Identity()
        if queries == "synthesized":
            self.key_norm = build_norm("rms", d)
            self.seed_query = nn.Parameter(torch.empty(sets, num_latents, d))
            self.seed_key = nn.Linear(c, c, bias=False)
            self.gate = nn.Parameter(torch.empty(heads))
        if decode == "encoded":
            self.read_query = projection(key_layers, key_ratio)
        self.latent_blocks = LatentMixing(c, heads, latent_blocks, act=act)
        self.output_gate = None if gate_layers is None else projection(gate_layers, 1.0)
        self.out = nn.Linear(c, c)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Latent queries from N(0, 0.1), linear weights from N(0, 0.02), biases 0, gates 0.25."""
        for name, parameter in self.named_parameters(recurse=False):
            if name == "gate":
                nn.init.constant_(parameter, 0.25)
            else:
                nn.init.normal_(parameter, std=0.1)
        for module in self.children():
            init_linear(module)

    def forward(
        self,
        x: Tensor,
        batch: Tensor | None = None,
        *,
        ptr: Tensor | None = None,
        mask: Tensor | None = None,
        weight: Tensor | None = None,
        batch_size: int | None = None,
        group: Any = None,
    ) -> Tensor:
        """Mix the nodes of each graph.

        Args:
            x: [N, C], or [B, N, C].
            batch: Graph of each node of flat input, sorted, [N].
            ptr: Offsets of the graphs of flat input, [B + 1], instead of ``batch`` or with it.
            mask: Valid nodes of dense input, [B, N].
            weight: Positive quadrature weight of each node (its area or volume).
            batch_size: Number of graphs of ``batch``.
            group: ``torch.distributed`` process group over which the nodes of each graph are
                spread: x holds this process's part, the same B on all; see ``docs/mixer.md``.

        Raises:
            ValueError: If shapes do not fit.
        """
        nodes, graphs = layer_input(
            "FLAREAttention", self.channels, x, batch, ptr, mask, weight, batch_size, group
        )
        out = self.mix(nodes, graphs).reshape(x.shape)
        return out if mask is None else out.masked_fill(~mask[..., None], 0.0)

    def mix(self, x: Tensor, graphs: Graphs, rotation: Rotation | None = None) -> Tensor:
        """The output at flat nodes [N, C] of checked graphs, with rotated keys if given."""
        if self.decode == "encoded" or len(self.latent_blocks) or graphs.group is not None:
            key, latents = self.encode(x, graphs, rotation)
            return self.decode_nodes(self.decode_keys(x, key), latents, graphs, self.gates(x))
        layout, log_weight, _ = graphs
        mixed = backends.mix(
            *self._inputs(x, graphs, rotation), layout, log_weight, scale=self._scale(),
            backend=self.backend,
        )  # fmt: skip
        return self._output(mixed, self.gates(x))

    def encode(
        self, x: Tensor, graphs: Graphs, rotation: Rotation | None = None
    ) -> tuple[Tensor, Latents]:
        """Keys [N, H, D] and latents of flat nodes [N, C]."""
        query, key, value = self._inputs(x, graphs, rotation)
        return key, self.latents(query, self._encode(query, key, value, graphs, self._scale()))

    def keys(self, x: Tensor) -> Tensor:
        """Keys [N, H, D] of nodes [N, C]."""
        key = self.key(x)
        # Under autocast norms are in float32, projections in half precision.
        return self.key_norm(self._split(key)).to(key.dtype)

    def values(self, x: Tensor) -> Tensor:
        """Values [N, H, D] of nodes [N, C]."""
        return self._split(self.value(x))

    def decode_keys(self, x: Tensor, key: Tensor | None = None) -> Tensor:
        """Keys [N, H, D] for the decode of nodes [N, C], whose encode keys may be known."""
        if self.decode == "encoded":
            return self._split(self.read_query(x))
        return self.keys(x) if key is None else key

    def latent_queries(self, x: Tensor, graphs: Graphs) -> Tensor:
        """Latent queries [B, H, M, D] of the encode."""
        if self.queries == "fixed":
            return self.fixed_queries(graphs)
        return self.combine_queries(self._encode(*self._seeds(x, graphs)))

    def fixed_queries(self, graphs: Graphs) -> Tensor:
        """Learned latent queries [B, H, M, D]."""
        return self._shared(self.query_norm(self.latent_query), graphs)

    def combine_queries(self, seeds: Tensor) -> Tensor:
        """Synthesized latent queries [B, H, M, D] from the latents of the seed queries."""
        fixed = rms_norm(self.latent_query)
        return fixed + self.gate.sigmoid()[:, None, None] * seeds

    def encode_seeds(self, x: Tensor, graphs: Graphs) -> tuple[Tensor, Tensor]:
        """Latents of the seed queries from a part of the nodes, and their log-sum-exps."""
        return self.encode_part(*self._seeds(x, graphs))

    def encode_part(
        self, query: Tensor, key: Tensor, value: Tensor, graphs: Graphs, scale: float
    ) -> tuple[Tensor, Tensor]:
        """Latent values from a part of the nodes, and their log-sum-exps."""
        layout, log_weight, _ = graphs
        return backends.encode(
            query.to(key.dtype), key, value, layout, log_weight, scale=scale, backend=self.backend
        )

    def latents(self, query: Tensor, value: Tensor) -> Latents:
        """Latents for the decode, from the queries and values of the encode."""
        value = self.latent_blocks(value)
        return Latents(query if self.decode == "shared" else value, value)

    def gates(self, x: Tensor) -> Tensor | None:
        """Factors [N, C] of the mixed values at nodes [N, C]; None without a gate."""
        return None if self.output_gate is None else self.output_gate(x).sigmoid()

    def decode_nodes(
        self, key: Tensor, latents: Latents, graphs: Graphs, gates: Tensor | None
    ) -> Tensor:
        """Output [N, C] at nodes with these decode keys [N, H, D] and :meth:`gates`."""
        query, value = latents.query.to(key.dtype), latents.value
        mixed = backends.decode(
            query, key, value, graphs.layout, scale=self._scale(), backend=self.backend
        )
        return self._output(mixed, gates)

    def _output(self, mixed: Tensor, gates: Tensor | None) -> Tensor:
        """Output [N, C] from mixed values [N, H, D]."""
        mixed = mixed.flatten(-2)
        return self.out(mixed if gates is None else mixed * gates)

    def _inputs(
        self, x: Tensor, graphs: Graphs, rotation: Rotation | None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Latent queries [B, H, M, D], and keys and values [N, H, D] of nodes [N, C]."""
        key, value = self.keys(x), self.values(x)
        if rotation is not None:
            key = rotation(key)
        return self.latent_queries(x, graphs).to(key.dtype), key, value

    def _seeds(self, x: Tensor, graphs: Graphs) -> tuple[Tensor, Tensor, Tensor, Graphs, float]:
        seed = self._split(self.seed_key(x))
        seed = rms_norm(seed).to(seed.dtype)
        query = self._shared(rms_norm(self.seed_query), graphs).to(seed.dtype)
        return query, seed, seed, graphs, seed.shape[-1] ** -0.5

    def _encode(
        self, query: Tensor, key: Tensor, value: Tensor, graphs: Graphs, scale: float
    ) -> Tensor:
        layout, log_weight, group = graphs
        if group is not None:
            return merge_over_group(*self.encode_part(query, key, value, graphs, scale), group)
        return backends.encode_latents(
            query, key, value, layout, log_weight, scale=scale, backend=self.backend
        )

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))

    def _shared(self, query: Tensor, graphs: Graphs) -> Tensor:
        return query.expand(graphs.layout.num_graphs, self.heads, -1, -1)

    def _scale(self) -> float:
        return self.scale

    # As torch.compiler.assume_constant_result does. As a variable of compiled code, the scale could
    # not be read in several checkpointed calls of one layer.
    _scale._dynamo_marked_constant = True  # pyright: ignore[reportFunctionMemberAccess]

    def __repr__(self) -> str:
        sizes = f"{self.channels}, heads={self.heads}, num_latents={self.num_latents}"
        return f"{type(self).__name__}({sizes})"
