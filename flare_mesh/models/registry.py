"""Models by name, for configurations and the command line."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from flare_mesh.choices import check_options
from flare_mesh.files import existing_file, read_json_object
from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.flare_operator import FLAREOperator
from flare_mesh.models.gnot import GNOT
from flare_mesh.models.lno import LNO
from flare_mesh.models.perceiver_io import PerceiverIO
from flare_mesh.models.transformer import Transformer
from flare_mesh.models.transolver import Transolver
from flare_mesh.models.transolver_plus import TransolverPlus
from flare_mesh.nn import FLAREAttention

_CLASSES = (FLAREOperator, GNOT, LNO, PerceiverIO, Transformer, Transolver, TransolverPlus)
MODELS: Mapping[str, type[FieldModel]] = {model.NAME: model for model in _CLASSES}
"""The models by name."""


def model_options(name: str) -> dict[str, Any]:
    """Names and defaults of a model's options, without the channels of input and output.

    Raises:
        ValueError: If there is no such model; lists the known ones.
    """
    found = inspect.signature(_model(name)).parameters
    options = {key: p.default for key, p in found.items() if p.kind is p.KEYWORD_ONLY}
    if any(p.kind is p.VAR_KEYWORD for p in found.values()):
        # The operator passes these options to its layers.
        passed = inspect.signature(FLAREAttention).parameters
        options |= {key: p.default for key, p in passed.items() if p.kind is p.KEYWORD_ONLY}
    return options


def build(name: str, *, in_channels: int, out_channels: int, **options: Any) -> FieldModel:
    """Build a model by name.

    Args:
        name: One of :data:`MODELS`.
        in_channels: As in :class:`FLAREOperator`.
        out_channels: As in :class:`FLAREOperator`.
        options: Options of the model.

    Raises:
        ValueError: If there is no such model or option; suggests the nearest.
    """
    check_options(f"the model '{name}'", options, model_options(name))
    return _model(name)(in_channels, out_channels, **options)  # pyright: ignore[reportCallIssue]


def load(path: str | Path, **modules: nn.Module) -> FieldModel:
    """Load a model of any kind from a folder written by its ``save``.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the folder does not hold a known model.
    """
    try:
        name = read_json_object(existing_file(Path(path) / "config.json"))["model"]
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path}: config.json does not describe a model ({error})") from error
    return _model(name).load(path, **modules)


def _model(name: str) -> type[FieldModel]:
    if name not in MODELS:
        raise ValueError(f"unknown model '{name}'; choose from {sorted(MODELS)}")
    return MODELS[name]
