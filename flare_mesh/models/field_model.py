"""What all models share: one call, one configuration, one pair of files."""

import json
import textwrap
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from flare_mesh.files import atomic_path
from flare_mesh.io.hub import HubMixin


class FieldModel(HubMixin, nn.Module):
    """Base of the models: features and coordinates of nodes in, a field at the nodes out.

    A subclass sets :attr:`NAME`, fills :attr:`config` with all of its options by name, and
    computes :meth:`forward`. A graph's result depends neither on the other graphs of a batch nor
    on the order of its nodes.
    """

    NAME: ClassVar[str]
    """What configurations and saved folders call the model."""
    config: dict[str, Any]
    """Options that build the model anew; JSON, but for those that are None for a given module."""

    def __init__(self, **config: Any) -> None:
        super().__init__()
        self.config = config
        for name, least in (("in_channels", 0), ("out_channels", 1), ("hidden_channels", 1),
                            ("num_layers", 0), ("pos_dim", 1)):  # fmt: skip
            if config[name] < least:
                raise ValueError(
                    f"{type(self).__name__}: expected '{name}' >= {least} (got {config[name]})"
                )

    @property
    def uses_edges(self) -> bool:
        """Whether :meth:`forward` reads ``edge_index``."""
        return False

    @property
    def can_stream(self) -> bool:
        """Whether :meth:`forward` takes ``chunk_size`` and ``group``."""
        return False

    @abstractmethod
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
        """The field at the nodes.

        Args:
            x: Features [N, in_channels], None without any, or a PyG ``Data`` or ``Batch`` with
                ``pos`` and the others under their names.
            pos: Coordinates [N, pos_dim].
            batch: Graph of each node [N], sorted.
            ptr: Offsets of the graphs [B + 1]; takes the place of ``batch``.
            weight: Positive share of each node, [N].
            edge_index: Edges [2, E], for models that look at neighbours.
            batch_size: Number of graphs of ``batch``, where it is known.

        Returns:
            [N, out_channels].

        Raises:
            ValueError: If shapes do not fit.
        """

    def save(self, path: str | Path) -> None:
        """Writes ``config.json`` and ``model.safetensors`` into the folder ``path``."""
        folder = Path(path)
        with atomic_path(folder / "model.safetensors") as temporary:
            save_file(self.state_dict(), temporary)
        with atomic_path(folder / "config.json") as temporary:
            temporary.write_text(json.dumps({"model": self.NAME, **self.config}, indent=2))

    @classmethod
    def load(cls, path: str | Path, **modules: nn.Module) -> Self:
        """Reads a folder written by :meth:`save`; no code is run from the files.

        Args:
            path: The folder.
            modules: The modules to load weights into, where options were modules and not names.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If the configuration or the weights are not those of this model.
        """
        folder = Path(path)
        try:
            config = json.loads((folder / "config.json").read_text())
            name = config.pop("model")
            if name != cls.NAME:
                raise ValueError(f"config.json is that of the model '{name}'")
            config |= modules
            model = cls(**config)
            model.load_state_dict(load_file(folder / "model.safetensors"))
        except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            reason = textwrap.shorten(str(error), 300)  # torch lists every weight that differs
            raise ValueError(f"{folder}: cannot be loaded as {cls.__name__}: {reason}") from error
        return model

    def card_details(self) -> str:
        """The options, for the model card."""
        options = json.dumps({"model": self.NAME, **self.config}, indent=2)
        return f"\n## Options\n\n```json\n{options}\n```"

    def __repr__(self) -> str:
        shown = ("in_channels", "out_channels", "hidden_channels", "num_layers", "heads",
                 "num_latents", "num_slices")  # fmt: skip
        given = ", ".join(f"{key}={self.config[key]}" for key in shown if key in self.config)
        return f"{type(self).__name__}({given})"
