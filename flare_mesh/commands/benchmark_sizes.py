"""Sizes of the models of a benchmark."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch

from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.models import MODELS, FieldModel, build, model_options
from flare_mesh.training.build import build_module
from flare_mesh.training.sizes import size_options
from flare_mesh.training.unroll import RolloutConfig
from flare_mesh.trusted_classes import is_class_path

_TOLERANCE = 0.05
_WIDTH = ("hidden_channels", "heads")


def shared_options(base: Mapping[str, Any], name: str) -> dict[str, Any]:
    """Options of one model that another model has by the same names.

    With a width or a number of heads come both, since one must divide the other.

    Args:
        base: Part ``model`` of a configuration.
        name: Name of the other model.
    """
    own = base.get("name", "flare")
    size = base.get("size")
    options = {**({} if size == "auto" else size_options(own, size)), **(base.get("options") or {})}
    if own == name:
        return options
    defaults, known = model_options(own), model_options(name)
    if not options.keys().isdisjoint(_WIDTH):
        options = {**{key: defaults[key] for key in _WIDTH if key in defaults}, **options}
    return {key: value for key, value in options.items() if key in known and key != "pos_dim"}


def build_trial(recipe: CaseRecipe, model: Mapping[str, Any]) -> FieldModel:
    """A model with the channels of some cases, to count its parameters.

    Args:
        recipe: Recipe of the cases.
        model: Part ``model`` of a configuration.

    Raises:
        ValueError: If it cannot be built.
    """
    rollout = RolloutConfig() if model.get("rollout") is not None else None
    options = {"size": model.get("size"), "options": model.get("options"), "rollout": rollout}
    with torch.device(_device(model)):
        return build_module(recipe, model.get("name", "flare"), **options).surrogate.model


def count_parameters(model: FieldModel) -> int:
    """Number of parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters())


def match_parameters(
    trial: FieldModel, model: Mapping[str, Any], target: int
) -> tuple[dict[str, Any], int]:
    """A model whose width gives it a number of parameters within 5 percent of another's.

    The width is a multiple of the heads. Where no multiple is near enough, the nearest number of
    heads for which one is takes their place.

    Args:
        trial: The model of :func:`build_trial`.
        model: Part ``model`` of a configuration.
        target: Number of parameters.

    Returns:
        The model with its width, and its number of parameters.

    Raises:
        ValueError: If there is no such width.
    """
    options = trial.config
    name = trial.stored_name()
    if "hidden_channels" not in options:
        raise ValueError(f"match_parameters: the model '{name}' has no option 'hidden_channels'")

    def count(width: int, changed: Mapping[str, int]) -> int:
        with torch.device(_device(model)):
            sized = {**options, **changed, "hidden_channels": width}
            return count_parameters(build(type(trial), **sized))

    heads = options.get("heads")
    tried = [None] if heads is None else sorted(range(1, 2 * heads + 1), key=_distance(heads))
    nearest = 0
    for number in tried:
        changed = {} if number is None else {"heads": number}
        for width in _widths(lambda width, changed=changed: count(width, changed), target, number):
            found = count(width, changed)
            nearest = min(nearest or found, found, key=lambda one: abs(one - target))
            if abs(found - target) <= _TOLERANCE * target:
                sized = {**(model.get("options") or {}), **changed, "hidden_channels": width}
                return {**model, "options": sized}, found
    raise ValueError(
        f"match_parameters: no width of '{name}' has {target:,} parameters within 5 % (the nearest "
        f"has {nearest:,}); change its other options"
    )


def _widths(count: Callable[[int], int], target: int, heads: int | None) -> list[int]:
    """The two multiples of the heads next to the width with a number of parameters.

    The number is a polynomial of second degree in the width, apart from rounding.
    """
    step = heads or 1
    widths = [8 * step, 16 * step, 32 * step]  # enough for models that rotate each axis of a head
    polynomial = np.polyfit(widths, [count(width) for width in widths], 2)
    roots = np.roots(polynomial - [0, 0, target])
    real = [float(root.real) for root in roots if abs(root.imag) < 1e-6 and root.real > 0]
    low = int(max(real, default=0) // step)
    return [max(1, low) * step, (low + 1) * step]


def _distance(heads: int) -> Any:
    return lambda number: (abs(number - heads), number)


def _device(model: Mapping[str, Any]) -> str:
    """Device on which a trial needs no memory; other packages' classes may not be built there."""
    ours = model.get("name", "flare") in MODELS
    return (
        "meta" if ours and not is_class_path((model.get("options") or {}).get("mixer")) else "cpu"
    )
