"""A model that classifies sequences, or pairs of them."""

from typing import Any

import torch
from torch import Tensor, nn

from flare_mesh.models.stored_model import StoredModel
from flare_mesh.nn.graphs import Graphs, graphs_of
from flare_mesh.nn.init import init_linear
from flare_mesh.nn.mixer import build_mixer, check_mixer, is_rotary, mixer_name
from flare_mesh.nn.mixing_block import MixerBlock
from flare_mesh.nn.node_weights import node_shares
from flare_mesh.nn.option_checks import check_at_least, check_choice, check_heads
from flare_mesh.nn.place_embedding import POSITIONS, PlaceEmbedding
from flare_mesh.nn.resolver import build_norm
from flare_mesh.nn.sequence import places, size_limits
from flare_mesh.nn.sequence_rows import prepend
from flare_mesh.nn.token_checks import check_tokens
from flare_mesh.ops.precision import sum_dtype, wide

_POOLS = ("mean", "class")
_PAIRS = ("concat", "interaction")


class SequenceModel(StoredModel):
    r"""Scores of the classes of a sequence of tokens or of continuous values, or of a pair.

    Tokens are embedded, or values mapped by a Linear; then come pre-norm blocks around any mixing
    layer, a norm, the pooling of each sequence, and the head. Blocks and options are those of the
    models in FLARE's comparison on the Long Range Arena (arXiv 2508.12594, vpuri3/FLARE.py
    ``lra``). The sequences of a batch may have any lengths: they are not padded, and the mean is
    over a sequence's own tokens, where the comparison's code averages over padding too. A layer
    that depends on the order of the nodes has that of the sequence.

    Both sequences of a pair go through the same weights; with the pooled u and v the head reads
    [u, v] (``"concat"``, as in the comparison) or [u, v, u * v, u - v] (``"interaction"``, as the
    official code of the arena can do for its retrieval task, arXiv 2011.04006). Two classes have
    two scores; the comparison has one, so its head is smaller by one row.

    Args:
        num_classes: Classes.
        num_tokens: Tokens in the vocabulary, numbered from 0; None for continuous input.
        in_channels: Channels of continuous input; None for tokens.
        documents: Sequences of a sample: 1, or 2 for pairs.
        max_length: Tokens of the longest sequence: the places of ``positions="learned"``, and
            ``max_nodes`` of a mixing layer that has such an option. None for no limit.
        hidden_channels: Channels C.
        num_layers: Blocks.
        heads: Heads of the mixing layers, which divide C.
        mixer: ``"flare"``, one of :data:`~flare_mesh.nn.mixer.MIXERS`, or a class of your own or
            its import path, see :class:`~flare_mesh.nn.mixer.Mixer`.
        mixer_options: Options of the mixing layer, as a dictionary.
        mlp_ratio: Width of the blocks' hidden layers over C.
        ffn_layers: Residual hidden layers of the blocks' MLP as in :class:`FLAREBlock`; None for
            one hidden layer with exact GELU.
        positions: ``"learned"``, ``"sinusoidal"``, ``"rotary"`` or ``"none"``, see
            :class:`~flare_mesh.nn.place_embedding.PlaceEmbedding`. ``"rotary"`` needs a mixing
            layer with queries and keys of the tokens: ``softmax``, ``performer``, or ``flare``,
            whose latent queries are not rotated.
        repeat_positions: Whether positions are added again before every block, as in the
            comparison's code.
        pool: ``"mean"`` of the tokens, then a norm; or ``"class"``, the output at a learned token
            before the first one.
        pair_features: ``"concat"`` or ``"interaction"``; None for ``"concat"`` of a pair.
        head_layers: Hidden layers of the head, C wide, with exact GELU; 0 for a Linear.
        norm: Normalisation of each token, ``"layer"`` or ``"rms"``.
        dropout: Share of the embedding's and of each branch's values set to 0 in training.

    Shapes:
        See :meth:`forward`.

    Raises:
        ValueError: If an option is unknown, or options do not fit together.
    """

    NAME = "sequence"

    def __init__(
        self,
        num_classes: int,
        *,
        num_tokens: int | None = None,
        in_channels: int | None = None,
        documents: int = 1,
        max_length: int | None = None,
        hidden_channels: int = 128,
        num_layers: int = 4,
        heads: int = 8,
        mixer: str | type[nn.Module] = "flare",
        mixer_options: dict[str, Any] | None = None,
        mlp_ratio: float = 4.0,
        ffn_layers: int | None = None,
        positions: str = "learned",
        repeat_positions: bool = False,
        pool: str = "mean",
        pair_features: str | None = None,
        head_layers: int = 0,
        norm: str = "layer",
        dropout: float = 0.0,
    ) -> None:
        super().__init__({**locals(), "mixer": mixer_name(mixer) or "flare"})
        c = hidden_channels
        check_at_least(self, 1, num_classes=num_classes, num_layers=num_layers)
        check_at_least(self, 0, head_layers=head_layers)
        check_choice(self, POSITIONS, positions=positions)
        check_choice(self, _POOLS, pool=pool)
        check_heads(self, c, heads, "hidden_channels")
        _check_options(self, documents, pair_features, positions, repeat_positions, mixer)
        if not 0 <= dropout < 1:
            raise ValueError(f"{self.NAME}: expected 'dropout' from 0 to below 1 (got {dropout})")
        self.documents, self.max_length = documents, max_length
        self.repeat_positions, self.pool = repeat_positions, pool
        self.embedding = _embedding(self, num_tokens, in_channels, c)
        length = None if max_length is None else max_length + (pool == "class")
        if positions == "learned" and length is None:
            raise ValueError(
                "SequenceModel: expected 'max_length' with learned positions (got None); give it, "
                "or take positions='sinusoidal'"
            )
        self.places = PlaceEmbedding(positions, c, heads, length)
        if pool == "class":
            self.class_token = nn.Parameter(torch.empty(c))
        self.drop = nn.Dropout(dropout) if dropout else nn.Identity()
        options = dict(mixer_options or {})
        if length is not None and getattr(check_mixer(mixer), "SIZED", False):
            options.setdefault("max_nodes", length)
        self.blocks = nn.ModuleList(
            MixerBlock(
                c, build_mixer(mixer, c, options, heads=heads),
                mlp_ratio=mlp_ratio, norm=norm, ffn_layers=ffn_layers, dropout=dropout,
            )
            for _ in range(num_layers)
        )  # fmt: skip
        self.norm = build_norm(norm, c)
        self.pool_norm = build_norm(norm, c) if pool == "mean" else nn.Identity()
        self.pair_features = pair_features or ("concat" if documents == 2 else None)
        width = c * {None: 1, "concat": 2, "interaction": 4}[self.pair_features]
        widths = [width, *[c] * head_layers]
        hidden = [nn.Sequential(nn.Linear(a, c), nn.GELU()) for a in widths[:-1]]
        self.head = nn.Sequential(*hidden, nn.Linear(widths[-1], num_classes))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights of tables and linear layers from N(0, 0.02), biases 0; the rest by its layer."""
        init_linear(self)
        if isinstance(self.embedding, nn.Embedding):
            nn.init.normal_(self.embedding.weight, std=0.02)
        self.places.reset_parameters()
        if self.pool == "class":
            nn.init.normal_(self.class_token, std=0.02)
        for block in self.blocks:
            block.attention.reset_parameters()  # pyright: ignore

    def forward(
        self,
        x: Tensor,
        batch: Tensor | None = None,
        *,
        ptr: Tensor | None = None,
        batch_size: int | None = None,
    ) -> Tensor:
        """Scores of the classes [B, num_classes].

        Args:
            x: Tokens of all sequences, one after another, int64 [N]; or values [N, in_channels].
            batch: Sequence of each token [N], sorted. The sequences 2 i and 2 i + 1 are a pair.
            ptr: Offsets of the sequences [S + 1], instead of ``batch``. One sequence without both.
            batch_size: Number S of sequences of ``batch``.

        Raises:
            ValueError: If a shape, dtype or token does not fit, a sequence is empty or longer than
                ``max_length``, or the number of sequences is odd for pairs.
        """
        pooled = self.encode(x, batch, ptr=ptr, batch_size=batch_size)
        if self.documents == 2:
            u, v = pooled.unflatten(0, (-1, 2)).unbind(1)
            more = [u * v, u - v] if self.pair_features == "interaction" else []
            pooled = torch.cat([u, v, *more], dim=-1)
        return self.head(pooled)

    def encode(
        self,
        x: Tensor,
        batch: Tensor | None = None,
        *,
        ptr: Tensor | None = None,
        batch_size: int | None = None,
    ) -> Tensor:
        """The pooled sequences [S, C] that the head reads; arguments of :meth:`forward`."""
        self._check_input(x)
        graphs = graphs_of(x, batch, ptr=ptr, batch_size=batch_size)
        self._check_lengths(graphs, len(x))
        h = self.embedding(x)
        if self.pool == "class":
            h, layout = prepend(h, self.class_token, graphs.layout)
            graphs = Graphs(layout)
        place = places(graphs.layout, len(h)).place
        place = place.to(sum_dtype(h))  # half precision has no integers above 256
        added, turned = self.places(place), self.places.rotation(place)
        shared = () if turned is None else (turned,)
        for number, block in enumerate(self.blocks):
            if added is not None and (number == 0 or self.repeat_positions):
                h = h + added
            h = block(h if number else self.drop(h), graphs, *shared)
        h = self.norm(h)
        if self.pool == "class":
            return h[graphs.layout.ptr[:-1]]
        # Sums over many tokens leave the range of half precision.
        with torch.autocast(h.device.type, enabled=False):
            rows, products = wide(h), graphs.layout.products(len(h))
            share = node_shares(graphs, products, rows)
            mean = products.sums(share, rows[:, None])[:, 0, 0]
        return self.pool_norm(mean.to(h.dtype))

    def _check_input(self, x: Tensor) -> None:
        if isinstance(self.embedding, nn.Embedding):
            check_tokens(x, self.embedding.num_embeddings)
        elif x.dim() != 2 or x.shape[1] != self.embedding.in_features:
            raise ValueError(
                f"SequenceModel: expected values 'x' of shape [N, {self.embedding.in_features}] "
                f"(got {list(x.shape)})"
            )

    def _check_lengths(self, graphs: Graphs, tokens: int) -> None:
        count = graphs.layout.num_graphs
        if count % self.documents:
            raise ValueError(
                f"SequenceModel: expected two sequences of each pair (got {count} sequences)"
            )
        limits = size_limits(graphs.layout, tokens)
        if limits is None or not count:
            return
        if limits[0] == 0:
            raise ValueError(
                "SequenceModel: expected at least one token in each sequence (got an empty one)"
            )
        if self.max_length is not None and limits[1] > self.max_length:
            raise ValueError(
                f"SequenceModel: expected sequences of at most {self.max_length} tokens, its "
                f"option 'max_length' (got {limits[1]}); cut them, or train with a larger one"
            )


def _embedding(
    model: SequenceModel, num_tokens: int | None, in_channels: int | None, channels: int
) -> nn.Embedding | nn.Linear:
    if (num_tokens is None) == (in_channels is None):
        raise ValueError(
            f"SequenceModel: expected 'num_tokens' or 'in_channels' (got {num_tokens} and "
            f"{in_channels}); give one of them"
        )
    if num_tokens is not None:
        check_at_least(model, 1, num_tokens=num_tokens)
        return nn.Embedding(num_tokens, channels)
    assert in_channels is not None
    check_at_least(model, 1, in_channels=in_channels)
    return nn.Linear(in_channels, channels)


def _check_options(
    model: SequenceModel,
    documents: int,
    pair_features: str | None,
    positions: str,
    repeat_positions: bool,
    mixer: str | type[nn.Module],
) -> None:
    """Refuse options that have no effect, or that a mixing layer has no use for."""
    if documents not in (1, 2):
        raise ValueError(f"SequenceModel: expected 'documents' 1 or 2 (got {documents})")
    if pair_features is not None:
        check_choice(model, _PAIRS, pair_features=pair_features)
        if documents == 1:
            raise ValueError(
                f"SequenceModel: pair_features='{pair_features}' is for pairs; leave it out, or "
                "set documents=2"
            )
    if repeat_positions and positions not in ("learned", "sinusoidal"):
        raise ValueError(
            f"SequenceModel: positions='{positions}' are not added to the tokens; leave out "
            "repeat_positions"
        )
    if positions == "rotary" and not is_rotary(mixer):
        raise ValueError(
            f"SequenceModel: the mixer '{mixer_name(mixer)}' has no queries and keys that can be "
            "rotated; take positions='learned' or 'sinusoidal', or the mixer softmax, performer or "
            "flare"
        )
