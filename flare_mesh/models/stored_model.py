"""The base class of what is stored as one configuration and one file of weights."""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from flare_mesh.files import existing_file, read_json_object, write_text
from flare_mesh.io.hub import HubMixin
from flare_mesh.io.safetensors_file import write_safetensors
from flare_mesh.models.stored_weights import check_finite_weights, check_needed_weights
from flare_mesh.trusted_classes import class_path


class StoredModel(HubMixin, nn.Module):
    """Base of models that are saved as a folder, and loaded without running code from it.

    A subclass passes ``locals()`` of its constructor to this one before any other statement.

    Args:
        options: All options of the model by name.
    """

    NAME: ClassVar[str]
    """Name of a model of this package; other models have their import path."""
    config: dict[str, Any]
    """Options of the constructor, JSON; None where the option was a module."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        super().__init__()
        self.config = {k: v for k, v in options.items() if k not in ("self", "__class__")}

    @classmethod
    def stored_name(cls) -> str:
        """Name in configurations and files: ``NAME``, or ``package.module:Class`` elsewhere."""
        ours = cls.__module__.startswith("flare_mesh.models.")
        return cls.NAME if ours else class_path(cls)

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
