"""The base class of the models: one call, one configuration, one pair of files."""

import json
import textwrap
from abc import abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from flare_mesh.files import existing_file, read_json_object, write_text
from flare_mesh.io.hub import HubMixin
from flare_mesh.io.safetensors_file import write_safetensors
from flare_mesh.models.nodes import Nodes, read_nodes
from flare_mesh.models.stored_weights import check_finite_weights, check_needed_weights
from flare_mesh.nn.option_checks import check_at_least, check_heads
from flare_mesh.trusted_classes import class_path

_T = TypeVar("_T")
_LEAST = {
    "in_channels": 0,
    "out_channels": 1,
    "hidden_channels": 1,
    "num_layers": 0,
    "passes": 1,
    "pos_dim": 1,
    "num_latents": 1,
    "num_slices": 1,
    "num_experts": 1,
    "mlp_layers": 0,
}


class FieldModel(HubMixin, nn.Module):
    """Base of the models: features and coordinates of nodes in, a field at the nodes out.

    A subclass passes ``locals()`` of its constructor to this one before any other statement, and
    computes :meth:`evaluate`. A graph's result depends neither on the other
    graphs of a batch nor on the order of its nodes.

    Args:
        options: All options of the model by name, without modules.

    Raises:
        ValueError: If a size is too small, or the channels are not divisible by the heads.
    """

    NAME: ClassVar[str]
    """Name of a model of this package; other models have their import path."""
    config: dict[str, Any]
    """Options of the constructor, JSON; None where the option was a module."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = {k: v for k, v in options.items() if k not in ("self", "__class__")}
        for name, least in _LEAST.items():
            if name in self.config:
                check_at_least(self, least, **{name: self.config[name]})
        if "heads" in self.config:
            channels = self.config["hidden_channels"]
            check_heads(self, channels, self.config["heads"], "hidden_channels")

    @classmethod
    def stored_name(cls) -> str:
        """Name in configurations and files: ``NAME``, or ``package.module:Class`` elsewhere."""
        ours = cls.__module__.startswith("flare_mesh.models.")
        return cls.NAME if ours else class_path(cls)

    @property
    def uses_edges(self) -> bool:
        """Whether :meth:`forward` uses ``edge_index``."""
        return False

    def edge_transform(self, has_cells: bool) -> str | dict[str, Any]:
        """Transform by name that makes the edges of a model that uses some.

        Args:
            has_cells: Whether the meshes have cells, whose edges can be taken.
        """
        return "mesh_edges" if has_cells else {"knn_edges": {"k": 6}}

    @property
    def can_stream(self) -> bool:
        """Whether :meth:`forward` takes ``chunk_size``."""
        return False

    @property
    def can_spread(self) -> bool:
        """Whether :meth:`forward` takes ``group``: processes that share the nodes of a graph."""
        return False

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
            ptr: Offsets of the graphs [B + 1], instead of ``batch`` or in agreement with it.
            weight: Positive quadrature weight of each node (its area or volume), [N].
            edge_index: Edges [2, E], for models with message passing.
            batch_size: Number of graphs of ``batch``, where it is known.

        Returns:
            [N, out_channels].

        Raises:
            ValueError: If shapes do not fit.
        """
        nodes = read_nodes(self, x, pos, batch, ptr, weight, edge_index, batch_size)
        return self.evaluate(nodes)

    @abstractmethod
    def evaluate(self, nodes: Nodes) -> Tensor:
        """The field [N, out_channels] at checked nodes."""

    def run_block(self, block: Callable[..., _T], *inputs: Any) -> _T:
        """Output of a block, whose activations are not stored under ``checkpointing``."""
        if self.config["checkpointing"] and torch.is_grad_enabled():
            return checkpoint(block, *inputs, use_reentrant=False)
        return block(*inputs)

    def save(self, path: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors`` into the folder ``path``."""
        folder = Path(path)
        write_safetensors(folder / "model.safetensors", self.state_dict())
        config = json.dumps({"model": self.stored_name(), **self.config}, indent=2)
        write_text(folder / "config.json", config)

    @classmethod
    def load(cls, path: str | Path, **modules: nn.Module) -> Self:
        """Load a folder written by :meth:`save`; no code is run from the files.

        Args:
            path: The folder.
            modules: Modules for the options that were modules and not names; their weights are
                loaded too.

        Raises:
            FileNotFoundError: If a file is missing.
            ValueError: If the configuration or the weights belong to another model, or a weight is
                NaN or infinite.
        """
        folder = Path(path)
        try:
            config = read_json_object(existing_file(folder / "config.json"))
            name = config.pop("model")
            if name != cls.stored_name():
                raise ValueError(f"config.json is for the model '{name}'")
            config |= modules
            weights = load_file(folder / "model.safetensors")
            check_finite_weights(weights)
            check_needed_weights(weights, config, lambda: cls(**config))
            model = cls(**config)
            model.load_state_dict(weights)
        except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            reason = textwrap.shorten(str(error), 300)  # torch lists every weight that differs
            raise ValueError(f"{folder}: cannot be loaded as {cls.__name__}: {reason}") from error
        return model

    def card_details(self) -> str:
        """The options, for the model card."""
        options = json.dumps({"model": self.stored_name(), **self.config}, indent=2)
        return f"\n## Options\n\n```json\n{options}\n```"

    def __repr__(self) -> str:
        shown = ("in_channels", "out_channels", "hidden_channels", "num_layers", "heads",
                 "num_latents", "num_slices")  # fmt: skip
        given = ", ".join(f"{key}={self.config[key]}" for key in shown if key in self.config)
        return f"{type(self).__name__}({given})"
