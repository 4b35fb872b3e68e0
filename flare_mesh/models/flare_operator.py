"""The FLARE operator: node features and coordinates in, a field at the nodes out."""

import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from flare_mesh.files import atomic_path
from flare_mesh.models.reference_weights import read_reference
from flare_mesh.models.streaming import (
    Nodes,
    decode_in_pieces,
    encode_in_pieces,
    evaluate_in_pieces,
)
from flare_mesh.nn import FLAREBlock, Latents, ResidualMLP
from flare_mesh.nn.encoders import build_encoder
from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.resolver import build_norm


def _autocasts(tensor: Tensor) -> bool:
    return torch.is_autocast_enabled(tensor.device.type)


class FLAREOperator(nn.Module):
    r"""A neural operator on point clouds and meshes, linear in the nodes (arXiv 2508.12594).

    A point encoder of [pos, x], ``num_layers`` :class:`~flare_mesh.nn.FLAREBlock`, and a
    normalisation with a pointwise head. The node order, the other graphs of a batch and padding
    do not change a graph's result.

    Args:
        in_channels: Features of each node beside its coordinates; 0 for none.
        out_channels: Field components to predict at each node.
        hidden_channels: Channels C of the layers.
        num_layers: Number of blocks.
        heads: Attention heads; divides ``hidden_channels``.
        num_latents: Latents of each head.
        pos_dim: Dimension of the coordinates.
        encoder: ``"mlp"`` (the paper's), ``"fourier"``, ``"graph"``, or a module with the
            interface of :class:`~flare_mesh.nn.encoders.PointEncoder`.
        encoder_options: Options of a named encoder, as a dictionary.
        head_layers: Residual hidden layers of the head.
        checkpointing: Computes each block again in the backward instead of keeping its
            activations: less memory for about a third more time.
        ffn_layers: Residual hidden layers of each block's pointwise network.
        ffn_ratio: Width of those layers over C.
        norm: ``"layer"`` or ``"rms"``.
        act: Activation of all networks, see :class:`~flare_mesh.nn.ResidualMLP`.
        attention: Further options of :class:`~flare_mesh.FLAREAttention`: ``kv_layers``,
            ``kv_ratio``, ``scale``, ``qk_norm``, ``queries``, ``decode``, ``backend``.

    Shapes:
        x [N, in_channels] or None; pos [N, pos_dim]; batch [N] or ptr [B + 1]; weight [N];
        output [N, out_channels]. A PyG ``Data`` or ``Batch`` may take the place of x.

    Raises:
        ValueError: If an option is unknown or a size does not fit.
    """

    blocks: Sequence[FLAREBlock]

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 64,
        num_layers: int = 8,
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
        **attention: Any,
    ) -> None:
        super().__init__()
        self.config: dict[str, Any] = {
            "in_channels": in_channels,
            "out_channels": out_channels,
            "hidden_channels": hidden_channels,
            "num_layers": num_layers,
            "heads": heads,
            "num_latents": num_latents,
            "pos_dim": pos_dim,
            "encoder": encoder if isinstance(encoder, str) else None,
            "encoder_options": dict(encoder_options or {}),
            "head_layers": head_layers,
            "checkpointing": checkpointing,
            "ffn_layers": ffn_layers,
            "ffn_ratio": ffn_ratio,
            "norm": norm,
            "act": act,
            **attention,
        }
        for name, least in (("in_channels", 0), ("out_channels", 1), ("hidden_channels", 1),
                            ("num_layers", 0), ("pos_dim", 1)):  # fmt: skip
            if self.config[name] < least:
                raise ValueError(
                    f"FLAREOperator: expected '{name}' >= {least} (got {self.config[name]})"
                )
        c = hidden_channels
        self.checkpointing = checkpointing
        self.encoder = build_encoder(
            encoder, in_channels, c, pos_dim, **self.config["encoder_options"]
        )
        self.blocks = nn.ModuleList(  # pyright: ignore[reportAttributeAccessIssue]
            FLAREBlock(
                c,
                ffn_layers=ffn_layers,
                ffn_ratio=ffn_ratio,
                norm=norm,
                act=act,
                heads=heads,
                num_latents=num_latents,
                **attention,
            )
            for _ in range(num_layers)
        )
        self.norm = build_norm(norm, c)
        self.head = ResidualMLP(c, c, out_channels, head_layers, input_residual=True, act=act)

    def reset_parameters(self) -> None:
        """Draws all parameters anew; a given encoder module must have the same method."""
        for module in (self.encoder, *self.blocks, self.norm, self.head):
            module.reset_parameters()  # pyright: ignore[reportCallIssue]

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
        chunk_size: int | None = None,
        group: Any = None,
    ) -> Tensor:
        """The field at the nodes.

        Args:
            x: Features [N, in_channels], None without any, or a PyG ``Data`` or ``Batch`` with
                ``pos`` and the others under their names.
            pos: Coordinates [N, pos_dim].
            batch: Graph of each node [N], sorted.
            ptr: Offsets of the graphs [B + 1]; takes the place of ``batch``.
            weight: Positive share of each node, [N]; see :func:`flare_mesh.flare_attention`.
            edge_index: Edges [2, E], for encoders that look at neighbours.
            batch_size: Number of graphs of ``batch``, where it is known.
            chunk_size: Goes through the nodes in pieces of that many: the same result, with
                memory for two vectors of ``hidden_channels`` a node. Without gradients only.
            group: ``torch.distributed`` process group over which the nodes of each graph are
                spread; every process passes its own nodes, and the same number of graphs.

        Returns:
            [N, out_channels].

        Raises:
            ValueError: If shapes do not fit, or ``chunk_size`` is given with gradients enabled.
        """
        nodes = self._nodes(x, pos, batch, ptr, weight, edge_index, batch_size, group)
        if chunk_size is not None:
            return evaluate_in_pieces(self, nodes, chunk_size)
        h = self.encode_points(nodes)
        for block in self.blocks:
            if self.checkpointing and torch.is_grad_enabled():
                h = checkpoint(block.mix, h, nodes.graphs, use_reentrant=False)
            else:
                h = block.mix(h, nodes.graphs)
        return self.head(self.norm(h))

    def encode(
        self,
        x: Any,
        pos: Tensor | None = None,
        batch: Tensor | None = None,
        *,
        ptr: Tensor | None = None,
        weight: Tensor | None = None,
        edge_index: Tensor | None = None,
        batch_size: int | None = None,
        chunk_size: int | None = None,
        group: Any = None,
    ) -> list[Latents]:
        """The latents of every block: all that :meth:`decode` needs to know of the nodes.

        Takes the arguments of :meth:`forward`. Their size, ``num_layers`` times two tensors
        [B, H, M, D], does not depend on the number of nodes.
        """
        nodes = self._nodes(x, pos, batch, ptr, weight, edge_index, batch_size, group)
        if chunk_size is not None:
            return encode_in_pieces(self, nodes, chunk_size)
        h, kept = self.encode_points(nodes), []
        for block in self.blocks:
            attention, n = block.attention, block.norm1(h)
            key, latents = attention.gather_from(n, nodes.graphs)
            kept.append(latents)
            if block is not self.blocks[-1]:
                h = block.update(h, attention.read_keys(n, key), latents, nodes.graphs)
        return kept

    def decode(
        self,
        latents: list[Latents],
        x: Any,
        pos: Tensor | None = None,
        batch: Tensor | None = None,
        *,
        ptr: Tensor | None = None,
        batch_size: int | None = None,
        chunk_size: int | None = None,
    ) -> Tensor:
        """The field at any points of the graphs that were encoded: probes, cuts, finer meshes.

        At the encoded nodes it is the result of :meth:`forward`. The other points add nothing to
        the latents.

        Args:
            latents: Result of :meth:`encode`.
            x: Features of the points; this and the other arguments as in :meth:`forward`.
            pos: Coordinates of the points.
            batch: Graph of each point.
            ptr: Offsets of the graphs' points.
            batch_size: Number of graphs of ``batch``; by default that of the latents.
            chunk_size: Evaluates that many points at a time.

        Returns:
            [N, out_channels].

        Raises:
            ValueError: If shapes or numbers of graphs do not fit, or the encoder looks at
                neighbours, which other points do not have.
        """
        if not getattr(self.encoder, "pointwise", False):
            raise ValueError(
                "FLAREOperator.decode: expected an encoder that codes each point by itself, with "
                f"pointwise = True (got {type(self.encoder).__name__})"
            )
        if len(latents) != len(self.blocks):
            raise ValueError(
                f"FLAREOperator.decode: expected the latents of {len(self.blocks)} blocks "
                f"(got {len(latents)})"
            )
        if batch_size is None and latents:
            batch_size = latents[0].value.shape[0]
        nodes = self._nodes(x, pos, batch, ptr, None, None, batch_size, None)
        graphs = nodes.graphs.layout.num_graphs
        if latents and graphs != latents[0].value.shape[0]:
            raise ValueError(
                f"FLAREOperator.decode: expected points of {latents[0].value.shape[0]} graphs, as "
                f"were encoded (got {graphs})"
            )
        if chunk_size is not None:
            return decode_in_pieces(self, latents, nodes, chunk_size)
        return self.decode_points(latents, nodes)

    def decode_points(self, latents: list[Latents], nodes: Nodes) -> Tensor:
        """:meth:`decode` at points that were checked before."""
        h = self.encode_points(nodes)
        for block, latent in zip(self.blocks, latents, strict=True):
            attention, n = block.attention, block.norm1(h)
            keys = attention.read_keys(n, attention.keys(n))
            h = block.update(h, keys, latent, nodes.graphs)
        return self.head(self.norm(h))

    def encode_points(self, nodes: Nodes) -> Tensor:
        """The encoder's code [N, hidden_channels] of points that were checked before."""
        ptr = nodes.graphs.layout.ptr
        return self.encoder(nodes.x, nodes.pos, ptr=ptr, edge_index=nodes.edge_index)

    def _nodes(
        self,
        x: Any,
        pos: Tensor | None,
        batch: Tensor | None,
        ptr: Tensor | None,
        weight: Tensor | None,
        edge_index: Tensor | None,
        batch_size: int | None,
        group: Any,
    ) -> Nodes:
        if pos is None and hasattr(x, "pos"):
            data = x
            x, pos = data.x, data.pos
            if batch is None and ptr is None:
                batch = data.batch
                stated = data.ptr if batch is not None and "ptr" in data else None
                # Offsets are out of date where nodes were taken out of a batch.
                current = stated is not None and (
                    torch.compiler.is_compiling() or int(stated[-1]) == data.num_nodes
                )
                ptr = stated if current else None
            if weight is None and "weight" in data:
                weight = data.weight
            # An encoder with a radius searches its own neighbours.
            if edge_index is None and getattr(self.encoder, "radius", None) is None:
                edge_index = data.edge_index
        if group is not None and not getattr(self.encoder, "pointwise", False):
            raise ValueError(
                "FLAREOperator: a process of a 'group' does not see the neighbours that others "
                "hold; expected an encoder that codes each point by itself, with pointwise = True "
                f"(got {type(self.encoder).__name__})"
            )
        channels, pos_dim = self.config["in_channels"], self.config["pos_dim"]
        if pos is None or pos.dim() != 2 or pos.shape[-1] != pos_dim:
            raise ValueError(
                f"FLAREOperator: expected 'pos' of shape [N, {pos_dim}] "
                f"(got {None if pos is None else list(pos.shape)})"
            )
        parameter = next(self.parameters())
        for name, given in (("pos", pos), ("x", x)):
            if given is not None and (
                not given.is_floating_point()
                or given.device != parameter.device
                or (given.dtype != parameter.dtype and not _autocasts(given))
            ):
                raise ValueError(
                    f"FLAREOperator: expected '{name}' of the dtype and device of the model, "
                    f"{parameter.dtype} on {parameter.device} (got {given.dtype} on "
                    f"{given.device})"
                )
        expected = (pos.shape[0], channels)
        if (x is None and channels) or (x is not None and tuple(x.shape) != expected):
            raise ValueError(
                f"FLAREOperator: expected 'x' of shape {list(expected)} "
                f"(got {None if x is None else list(x.shape)})"
            )
        graphs = graphs_of(pos, batch, ptr=ptr, weight=weight, batch_size=batch_size, group=group)
        return Nodes(x, pos, edge_index, graphs)

    def save(self, path: str | Path) -> None:
        """Writes ``config.json`` and ``model.safetensors`` into the folder ``path``."""
        folder = Path(path)
        with atomic_path(folder / "model.safetensors") as temporary:
            save_file(self.state_dict(), temporary)
        with atomic_path(folder / "config.json") as temporary:
            temporary.write_text(json.dumps({"model": "flare", **self.config}, indent=2))

    @classmethod
    def load(cls, path: str | Path, *, encoder: nn.Module | None = None) -> "FLAREOperator":
        """Reads a folder written by :meth:`save`; no code is run from the files.

        Args:
            path: The folder.
            encoder: The module to load the encoder's weights into, where one was given on
                construction.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If the configuration or the weights are not those of this model.
        """
        folder = Path(path)
        try:
            config = json.loads((folder / "config.json").read_text())
            if config.pop("model") != "flare":
                raise ValueError("config.json is that of another model")
            if config["encoder"] is None:
                if encoder is None:
                    raise ValueError("it was built with an encoder module; pass encoder=")
                config["encoder"] = encoder
            model = cls(**config)
            model.load_state_dict(load_file(folder / "model.safetensors"))
        except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            reason = textwrap.shorten(str(error), 300)  # torch lists every weight that differs
            raise ValueError(f"{folder}: cannot be loaded as FLAREOperator: {reason}") from error
        return model

    @classmethod
    def from_reference_state_dict(
        cls, state_dict: Mapping[str, Tensor], *, heads: int, pos_dim: int, scale: float = 1.0
    ) -> "FLAREOperator":
        """The operator with weights that were trained with the authors' repository.

        Sizes, depths and norms are read off the weights. The input of the authors' model is
        [coordinates, features] in that order.

        Args:
            state_dict: State dict of their ``FLAREModel`` (``act`` is its default, GELU).
            heads: Their ``num_heads``.
            pos_dim: Leading channels of their input that are coordinates.
            scale: Their ``attn_scale``.

        Raises:
            ValueError: If it is not such a state dict.
        """
        options, weights = read_reference(state_dict, heads=heads, pos_dim=pos_dim, scale=scale)
        model = cls(**options)
        try:
            model.load_state_dict(weights)
        except RuntimeError as error:
            reason = textwrap.shorten(str(error), 300)
            raise ValueError(
                f"from_reference_state_dict: the weights do not fit: {reason}"
            ) from error
        return model

    def __repr__(self) -> str:
        options = ("in_channels", "out_channels", "hidden_channels", "num_layers", "heads")
        given = ", ".join(f"{name}={self.config[name]}" for name in (*options, "num_latents"))
        return f"{type(self).__name__}({given})"
