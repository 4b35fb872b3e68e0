"""One layer in the place of a layer of each block."""

from collections.abc import Sequence
from typing import Any

from torch import nn


def share_layer(blocks: Sequence[nn.Module], name: str) -> None:
    """Replace the layers of this name in all blocks by the first block's."""
    for block in blocks[1:]:
        setattr(block, name, getattr(blocks[0], name))


def store_shared_weights_once(model: nn.Module) -> None:
    """Keep each weight in a model's state dict once, under the first of its names.

    By default torch repeats the weights of a shared layer under all names, which a safetensors file
    cannot hold. A state dict with all names can be loaded as well.
    """
    model.register_state_dict_post_hook(_remove_repeats)
    model.register_load_state_dict_pre_hook(_add_repeats)


def _first_names(model: nn.Module) -> dict[str, str]:
    """The first name of each parameter and buffer that has another name, by the other names."""
    first: dict[Any, str] = {}
    repeats = {}
    for named in (model.named_parameters, model.named_buffers):
        for name, tensor in named(remove_duplicate=False):
            if first.setdefault(tensor, name) != name:
                repeats[name] = first[tensor]
    return repeats


def _remove_repeats(model: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name in _first_names(model):
        state.pop(prefix + name, None)


def _add_repeats(model: nn.Module, state: dict[str, Any], prefix: str, *_: Any) -> None:
    for name, first in _first_names(model).items():
        if prefix + first in state:
            state.setdefault(prefix + name, state[prefix + first])
