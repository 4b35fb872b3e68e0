"""Models by name, for configurations and the command line."""

from torch import nn

from flare_mesh.models.flare_operator import FLAREOperator

_MODELS: dict[str, type[nn.Module]] = {"flare": FLAREOperator}


def build(name: str, **options) -> nn.Module:
    """Builds the model called ``name`` with its options.

    Raises:
        ValueError: If there is no such model; lists those that exist.
    """
    if name not in _MODELS:
        raise ValueError(f"unknown model '{name}'; choose from {sorted(_MODELS)}")
    return _MODELS[name](**options)
