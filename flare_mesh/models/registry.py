"""Models by name, for configurations and the command line."""

import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from flare_mesh.choices import check_options
from flare_mesh.files import existing_file, read_json_object
from flare_mesh.models.ab_upt import ABUPT
from flare_mesh.models.backbone import Backbone
from flare_mesh.models.causal_lm import CausalLM
from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.flare_operator import FLAREOperator
from flare_mesh.models.geotransolver import GeoTransolver
from flare_mesh.models.gnot import GNOT
from flare_mesh.models.lamo import LaMO
from flare_mesh.models.lno import LNO
from flare_mesh.models.meshgraphnet import MeshGraphNet
from flare_mesh.models.perceiver_io import PerceiverIO
from flare_mesh.models.sequence_model import SequenceModel
from flare_mesh.models.stored_model import StoredModel
from flare_mesh.models.transformer import Transformer
from flare_mesh.models.transolver import Transolver
from flare_mesh.models.transolver_plus import TransolverPlus
from flare_mesh.models.upt import UPT
from flare_mesh.nn import FLAREAttention
from flare_mesh.trusted_classes import import_class, is_class_path, trusting_code

_CLASSES = (
    FLAREOperator,
    ABUPT,
    Backbone,
    GeoTransolver,
    GNOT,
    LaMO,
    LNO,
    MeshGraphNet,
    PerceiverIO,
    Transformer,
    Transolver,
    TransolverPlus,
    UPT,
)
MODELS: Mapping[str, type[FieldModel]] = {model.NAME: model for model in _CLASSES}
"""The models of fields by name."""
SEQUENCE_MODELS: Mapping[str, type[StoredModel]] = {
    model.NAME: model for model in (CausalLM, SequenceModel)
}
"""The models of sequences by name."""
_CHANNELS = ("in_channels", "out_channels")


def model_options(name: str | type[FieldModel]) -> dict[str, Any]:
    """Names and defaults of a model's options, without the channels of input and output.

    Args:
        name: As in :func:`build`.

    Raises:
        ValueError: If there is no such model; lists the known ones.
    """
    model = model_class(name)
    options = {
        key: p.default
        for key, p in inspect.signature(model).parameters.items()
        if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL) and key not in _CHANNELS
    }
    if model is FLAREOperator:
        # The operator passes these options to its layers.
        passed = inspect.signature(FLAREAttention).parameters
        options |= {key: p.default for key, p in passed.items() if p.kind is p.KEYWORD_ONLY}
    return options


def build(
    name: str | type[FieldModel], *, in_channels: int, out_channels: int, **options: Any
) -> FieldModel:
    """Build a model by name.

    Args:
        name: One of :data:`MODELS`, a subclass of :class:`FieldModel`, or its import path
            ``package.module:Class`` within :func:`~flare_mesh.trusted_classes.trusting_code`.
        in_channels: As in :class:`FLAREOperator`.
        out_channels: As in :class:`FLAREOperator`.
        options: Options of the model.

    Raises:
        ValueError: If there is no such model or option; suggests the nearest.
    """
    check_model_options(name, options)
    channels: dict[str, Any] = {"in_channels": in_channels, "out_channels": out_channels}
    return model_class(name)(**channels, **options)


def check_model_options(name: str | type[FieldModel], options: Iterable[str]) -> None:
    """Refuse options that a model does not have, unless its constructor takes any.

    Args:
        name: As in :func:`build`.
        options: Names of options.

    Raises:
        ValueError: If one is unknown; suggests the nearest.
    """
    model = model_class(name)
    if model is FLAREOperator or not _takes_any(model):
        check_options(f"the model '{model.stored_name()}'", options, model_options(model))


def load(path: str | Path, *, trust_code: bool = False, **modules: nn.Module) -> StoredModel:
    """Load a model of any kind, of fields or of sequences, from a folder written by its ``save``.

    Args:
        path: The folder.
        trust_code: Whether the folder may name a class outside this package, whose code is run.
        modules: As in :meth:`FieldModel.load`.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the folder does not hold a known model, or one of a class that is not
            trusted.
    """
    try:
        name = read_json_object(existing_file(Path(path) / "config.json"))["model"]
    except (ValueError, KeyError) as error:
        raise ValueError(f"{path}: config.json does not describe a model ({error})") from error
    with trusting_code(trust_code):
        found = SEQUENCE_MODELS.get(name) if isinstance(name, str) else None
        return (found or model_class(name)).load(path, **modules)


def model_class(name: str | type[FieldModel]) -> type[FieldModel]:
    """The class of a model.

    Args:
        name: As in :func:`build`.

    Raises:
        ValueError: If there is no such model, its class is not trusted, or its constructor lacks
            the channels or the dimension.
    """
    if not isinstance(name, type) and not is_class_path(name):
        if not isinstance(name, str) or name not in MODELS:
            raise ValueError(f"unknown model '{name}'; choose from {sorted(MODELS)}")
        return MODELS[name]
    model = import_class(name, FieldModel) if isinstance(name, str) else name
    missing = {*_CHANNELS, "pos_dim"} - inspect.signature(model).parameters.keys()
    if missing and not _takes_any(model):
        raise ValueError(
            f"the model '{model.stored_name()}': expected a constructor with in_channels, "
            f"out_channels and pos_dim (got none of {sorted(missing)}); add them"
        )
    return model


def _takes_any(model: type[FieldModel]) -> bool:
    parameters = inspect.signature(model).parameters.values()
    return any(one.kind is one.VAR_KEYWORD for one in parameters)
