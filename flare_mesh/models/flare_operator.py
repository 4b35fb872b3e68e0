"""The FLARE operator: node features and coordinates in, a field at the nodes out."""

import json
import textwrap
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from flare_mesh.files import atomic_path
from flare_mesh.nn import FLAREBlock, ResidualMLP
from flare_mesh.nn.flare_attention import batch_to_ptr


class FLAREOperator(nn.Module):
    r"""A neural operator on point clouds and meshes, linear in the nodes (arXiv 2508.12594).

    A point encoder of [pos, x], ``num_layers`` :class:`~flare_mesh.nn.FLAREBlock`, and a
    LayerNorm with a pointwise head. The node order, the other graphs of a batch and padding do
    not change a graph's result.

    Args:
        in_channels: Features of each node beside its coordinates; 0 for none.
        out_channels: Field components to predict at each node.
        hidden_channels: Channels C of the layers.
        num_layers: Number of blocks.
        heads: Attention heads; divides ``hidden_channels``.
        num_latents: Latents of each head.
        pos_dim: Dimension of the coordinates.
        encoder: ``"mlp"`` (the paper's), or a module that maps [N, pos_dim + in_channels] to
            [N, hidden_channels].
        kv_layers: Residual hidden layers of the key and value projections; -1 for one Linear.
        ffn_layers: Residual hidden layers of each block's pointwise network.
        scale: Factor on the attention scores.
        qk_norm: Applies LayerNorm to queries and keys of each head.
        backend: Backend of :func:`flare_mesh.flare_attention`.

    Shapes:
        x [N, in_channels] or None; pos [N, pos_dim]; batch [N] or ptr [B + 1]; weight [N];
        output [N, out_channels]. A PyG ``Data`` or ``Batch`` may take the place of x.
    """

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
        kv_layers: int = 3,
        ffn_layers: int = 3,
        scale: float = 1.0,
        qk_norm: bool = False,
        backend: str = "auto",
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
            "kv_layers": kv_layers,
            "ffn_layers": ffn_layers,
            "scale": scale,
            "qk_norm": qk_norm,
            "backend": backend,
        }
        for name, least in (("in_channels", 0), ("out_channels", 1), ("hidden_channels", 1),
                            ("num_layers", 0), ("pos_dim", 1)):  # fmt: skip
            if self.config[name] < least:
                raise ValueError(
                    f"FLAREOperator: expected '{name}' >= {least} (got {self.config[name]})"
                )
        c = hidden_channels
        if isinstance(encoder, nn.Module):
            self.encoder = encoder
        elif encoder == "mlp":
            self.encoder = ResidualMLP(pos_dim + in_channels, c, c, 2, output_residual=True)
        else:
            raise ValueError(
                f"FLAREOperator: unknown encoder '{encoder}'; choose 'mlp' or pass a module"
            )
        self.blocks = nn.ModuleList(
            FLAREBlock(
                c,
                ffn_layers=ffn_layers,
                heads=heads,
                num_latents=num_latents,
                kv_layers=kv_layers,
                scale=scale,
                qk_norm=qk_norm,
                backend=backend,
            )
            for _ in range(num_layers)
        )
        self.norm = nn.LayerNorm(c)
        self.head = ResidualMLP(c, c, out_channels, 2, input_residual=True)

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
    ) -> Tensor:
        if pos is None and hasattr(x, "pos"):
            data = x
            x, pos, batch = data.x, data.pos, data.batch
            ptr = data.ptr if batch is not None and "ptr" in data else None
            weight = data.weight if "weight" in data else weight
        features = self._features(x, pos)
        if ptr is None:
            ptr = batch_to_ptr(batch, features)
        h = self.encoder(features)
        for block in self.blocks:
            h = block(h, ptr=ptr, weight=weight)
        return self.head(self.norm(h))

    def _features(self, x: Tensor | None, pos: Tensor | None) -> Tensor:
        channels, pos_dim = self.config["in_channels"], self.config["pos_dim"]
        if pos is None or pos.dim() != 2 or pos.shape[-1] != pos_dim:
            raise ValueError(
                f"FLAREOperator: expected 'pos' of shape [N, {pos_dim}] "
                f"(got {None if pos is None else list(pos.shape)})"
            )
        expected = (pos.shape[0], channels)
        if (x is None and channels) or (x is not None and tuple(x.shape) != expected):
            raise ValueError(
                f"FLAREOperator: expected 'x' of shape {list(expected)} "
                f"(got {None if x is None else list(x.shape)})"
            )
        return pos if x is None else torch.cat([pos, x], dim=-1)

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

    def __repr__(self) -> str:
        options = ("in_channels", "out_channels", "hidden_channels", "num_layers", "heads")
        given = ", ".join(f"{name}={self.config[name]}" for name in (*options, "num_latents"))
        return f"{type(self).__name__}({given})"
