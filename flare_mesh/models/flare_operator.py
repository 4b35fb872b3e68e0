"""The FLARE operator: node features and coordinates in, a field at the nodes out."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from torch import Tensor, nn

from flare_mesh.files import read_json_object
from flare_mesh.models.history import HistoryState, evaluate_steps
from flare_mesh.models.latent_model import LatentModel
from flare_mesh.models.nodes import read_nodes
from flare_mesh.models.reference_weights import read_reference
from flare_mesh.models.shared_layers import share_layer, store_shared_weights_once
from flare_mesh.nn import FLAREBlock, ResidualMLP
from flare_mesh.nn.encoders import build_encoder
from flare_mesh.nn.mixer import is_ordered, mixer_name
from flare_mesh.nn.resolver import build_norm
from flare_mesh.nn.series import series_of_graphs


class FLAREOperator(LatentModel):
    r"""A neural operator on point clouds and meshes, linear in the nodes (arXiv 2508.12594).

    A point encoder of [pos, x], ``num_layers`` :class:`~flare_mesh.nn.FLAREBlock`, and a
    normalisation with a pointwise head. A graph's result depends neither on the node order nor on
    the other graphs of a batch.

    Args:
        in_channels: Features of each node besides its coordinates; 0 for none.
        out_channels: Field components to predict at each node.
        hidden_channels: Channels C of the layers.
        num_layers: Number of blocks.
        passes: How many times all blocks are applied one after another, with the same weights in
            each pass (the authors' "loopy").
        shared_attention: Whether all blocks use one mixing layer, each with its own norms.
        shared_ffn: Whether all blocks use one pointwise MLP (both, the authors' "unloopy").
        heads: Attention heads; divides ``hidden_channels``.
        num_latents: Latents of each head.
        pos_dim: Dimension of the coordinates.
        encoder: ``"mlp"`` (the paper's), ``"fourier"``, ``"graph"``, or a module with the
            interface of :class:`~flare_mesh.nn.encoders.PointEncoder`.
        encoder_options: Options of a named encoder, as a dictionary.
        head_layers: Residual hidden layers of the head.
        checkpointing: Whether to recompute each block in the backward instead of storing its
            activations: less memory for about a third more time.
        ffn_layers: Residual hidden layers of each block's pointwise MLP.
        ffn_ratio: Width of those layers over C.
        norm: ``"layer"`` or ``"rms"``.
        act: Activation of all networks, see :class:`~flare_mesh.nn.ResidualMLP`.
        mixer: Mixing layer of the blocks, see :class:`~flare_mesh.nn.FLAREBlock`: FLARE's by
            default, another of :data:`~flare_mesh.nn.mixer.MIXERS`, or a class of your own. Without
            FLARE's there are no latents, and so neither :meth:`encode` nor ``chunk_size`` nor
            ``group``.
        mixer_options: Options of another mixer than FLARE's, as a dictionary.
        history: Whether each step of a series of meshes sees the earlier ones, see :meth:`forward`:
            None if not; ``"equal"``, all steps with the same weight; or ``"fading"``, with weights
            that fall from step to step at rates which are learned, see
            :class:`~flare_mesh.nn.LatentMemory`.
        attention: Other options of :class:`~flare_mesh.FLAREAttention`: ``kv_layers``,
            ``kv_ratio``, ``scale``, ``qk_norm``, ``queries``, ``decode``, ``shared_latents``,
            ``latent_blocks``, ``gate_layers``, ``backend``.

    Shapes:
        As :meth:`forward`.

    Raises:
        ValueError: If an option is unknown or a size does not fit.
    """

    NAME = "flare"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 64,
        num_layers: int = 8,
        passes: int = 1,
        shared_attention: bool = False,
        shared_ffn: bool = False,
        heads: int = 8,
        num_latents: int = 64,
        pos_dim: int = 3,
        encoder: str | nn.Module = "mlp",
        encoder_options: dict[str, Any] | None = None,
        head_layers: int = 2,
        checkpointing: bool = False,
        ffn_layers: int = 3,
        ffn_ratio: float = 1.0,
        norm: str = "layer",
        act: str = "gelu",
        mixer: str | type[nn.Module] | None = None,
        mixer_options: dict[str, Any] | None = None,
        history: str | None = None,
        **attention: Any,
    ) -> None:
        options = {**locals(), **attention, "encoder_options": dict(encoder_options or {})}
        options["encoder"] = encoder if isinstance(encoder, str) else None
        options["mixer"] = mixer_name(mixer)
        del options["attention"]
        super().__init__(options)
        if is_ordered(mixer):
            raise ValueError(
                f"FLAREOperator: the mixer '{options['mixer']}' depends on the order of the nodes, "
                f"which a mesh does not have; use the model 'backbone', which orders them along a "
                f"space-filling curve"
            )
        if history is not None and not num_layers:
            raise ValueError(
                "FLAREOperator: expected blocks with history, which are what has one (got "
                "num_layers=0); leave out history"
            )
        c = hidden_channels
        self.encoder = build_encoder(
            encoder, in_channels, c, pos_dim, **self.config["encoder_options"]
        )
        attention |= {"heads": heads, "num_latents": num_latents, "norm": norm, "act": act}
        attention |= {"mixer": mixer, "mixer_options": mixer_options, "history": history}
        self.blocks = nn.ModuleList(  # pyright: ignore[reportAttributeAccessIssue]
            FLAREBlock(c, ffn_layers=ffn_layers, ffn_ratio=ffn_ratio, **attention)
            for _ in range(num_layers)
        )
        for name, shared in (("attention", shared_attention), ("mlp", shared_ffn)):
            if shared:
                share_layer(self.blocks, name)
        if shared_attention or shared_ffn:
            store_shared_weights_once(self)
        self.norm = build_norm(norm, c)
        self.head = ResidualMLP(c, c, out_channels, head_layers, input_residual=True, act=act)

    @property
    def has_history(self) -> bool:
        """Whether :meth:`forward` takes ``state``."""
        return self.config["history"] is not None

    @property
    def can_spread(self) -> bool:
        """As :attr:`can_stream`, without ``history``."""
        return self.can_stream and not self.has_history

    def forward(
        self,
        x: Any,
        pos: Tensor | None = None,
        batch: Tensor | None = None,
        *,
        series: Tensor | Sequence[int] | int | None = None,
        state: HistoryState | None = None,
        return_state: bool = False,
        **given: Any,
    ) -> Any:
        """The field at the nodes; other arguments as in :meth:`LatentModel.forward`.

        With ``history``, the graphs are steps of series, by default first steps of as many series.
        Steps in one call or one call after the other have the same results: in training all at
        once, and in a rollout with the state of the step before. Batch-mates change nothing.

        Args:
            series: The series of the graphs, whose steps follow one another: their offsets in the
                graphs, a tensor, int64 [B + 1], or a list; or the number of steps of each, where
                all have as many.
            state: State of each series after the steps of earlier calls.
            return_state: Whether to return the state after these steps too.

        Returns:
            [N, out_channels], or that and the :class:`~flare_mesh.models.HistoryState`.

        Raises:
            ValueError: If shapes do not fit, or an option does not apply.
        """
        if series is None and state is None and not return_state:
            return super().forward(x, pos, batch, **given)
        if not self.has_history:
            raise ValueError(
                "FLAREOperator: expected a model with history for series of steps (got "
                "history=None); leave out series, state and return_state, or set history"
            )
        chunk_size, group = given.pop("chunk_size", None), given.pop("group", None)
        if group is not None:
            raise ValueError(
                "FLAREOperator: expected each step with history in one process (got a group); "
                "leave out group"
            )
        nodes = read_nodes(self, x, pos, batch, **given)
        layout = nodes.graphs.layout
        steps = series_of_graphs(series, layout.num_graphs, layout.ptr.device)
        out, state = evaluate_steps(self, nodes, steps, state, chunk_size)
        return (out, state) if return_state else out

    def reset_parameters(self) -> None:
        """Draw all parameters again; an encoder module needs the same method."""
        for module in (self.encoder, *self.blocks, self.norm, self.head):
            module.reset_parameters()  # pyright: ignore[reportCallIssue]

    @classmethod
    def load(cls, path: str | Path, **modules: nn.Module) -> Self:
        """As :meth:`FieldModel.load`; pass ``encoder=`` if the encoder was a module."""
        config = Path(path) / "config.json"
        if "encoder" not in modules and config.is_file():
            try:
                given = read_json_object(config).get("encoder", "")
            except ValueError:  # the base class raises the error
                given = ""
            if given is None:
                raise ValueError(
                    f"{path}: cannot be loaded as FLAREOperator without the encoder module that it "
                    f"was built with; pass encoder="
                )
        return super().load(path, **modules)

    @classmethod
    def from_reference_state_dict(
        cls,
        state_dict: Mapping[str, Tensor],
        *,
        heads: int,
        pos_dim: int,
        scale: float = 1.0,
        passes: int = 1,
    ) -> "FLAREOperator":
        """Build an operator with weights that were trained with the authors' repository.

        Sizes, depths and norms follow from the weights. The input of the authors' model is
        [coordinates, features] in that order.

        Args:
            state_dict: State dict of their ``FLAREModel``, ``FLAREExperimentalModel``,
                ``BigFLAREModel``, ``LoopyWrapper`` or ``UnloopyWrapper`` with the default ``act``,
                GELU.
            heads: Their ``num_heads``.
            pos_dim: Number of coordinates, the leading channels of their input.
            scale: Their ``attn_scale``.
            passes: Their ``num_passes`` of a ``LoopyWrapper``.

        Raises:
            ValueError: If the state dict is not from such a model.
        """
        options, weights = read_reference(state_dict, heads=heads, pos_dim=pos_dim, scale=scale)
        model = cls(**options, passes=passes)
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            reason = textwrap.shorten(str(error), 300)
            raise ValueError(
                f"from_reference_state_dict: the weights do not fit: {reason}"
            ) from error
        return model
