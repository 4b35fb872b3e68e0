"""Mixing layers by name, or of one's own."""

import inspect
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from flare_mesh.choices import check_options, nearest
from flare_mesh.nn.flare_attention import FLAREAttention
from flare_mesh.nn.graphs import Graphs, graphs_of
from flare_mesh.nn.init import init_linear
from flare_mesh.nn.mixers.ema import EMAAttention
from flare_mesh.nn.mixers.linear import LinearAttention
from flare_mesh.nn.mixers.linear_no import LinearNOAttention
from flare_mesh.nn.mixers.linformer import LinformerAttention
from flare_mesh.nn.mixers.multilinear import MultilinearAttention
from flare_mesh.nn.mixers.nystromformer import NystromformerAttention
from flare_mesh.nn.mixers.performer import PerformerAttention
from flare_mesh.nn.mixers.physics_attention import PhysicsAttention
from flare_mesh.nn.mixers.quad import QuadAttention
from flare_mesh.nn.mixers.self_attention import SelfAttention
from flare_mesh.nn.mixers.shared_flare import SharedFLAREAttention
from flare_mesh.nn.mixers.strassen import StrassenAttention
from flare_mesh.nn.mixers.third_order import ThirdOrderAttention
from flare_mesh.nn.mixers.triple import TripleAttention
from flare_mesh.nn.mixing_layer import MixingLayer
from flare_mesh.nn.positions import Rotation
from flare_mesh.trusted_classes import class_path, import_class, is_class_path

MIXERS: Mapping[str, type[MixingLayer]] = {
    "ema": EMAAttention,
    "flare_shared": SharedFLAREAttention,
    "linear": LinearAttention,
    "linear_no": LinearNOAttention,
    "linformer": LinformerAttention,
    "multilinear": MultilinearAttention,
    "nystromformer": NystromformerAttention,
    "performer": PerformerAttention,
    "physics": PhysicsAttention,
    "quad": QuadAttention,
    "softmax": SelfAttention,
    "strassen": StrassenAttention,
    "third_order": ThirdOrderAttention,
    "triple": TripleAttention,
}
"""Mixing layers besides FLARE's by name."""
_SIZES = {"heads": "heads", "num_latents": "num_latents", "num_slices": "num_latents"}
_DEFAULTS = {"heads": 8, "num_latents": 64}


class Mixer(nn.Module):
    """A mixing layer with the interface of :class:`~flare_mesh.FLAREAttention` for flat nodes.

    Args:
        layer: One of :data:`MIXERS`, or any module that is called by
            ``layer(x, ptr=ptr, weight=weight)`` with nodes x [N, C], offsets of the graphs ptr
            [B + 1] and quadrature weights [N] or None, and returns [N, C].

    Shapes:
        x flat [N, C] with ``batch`` [N] or ``ptr`` [B + 1], ``weight`` [N]; output [N, C].
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer
        if isinstance(layer, MixingLayer):
            self.reset_parameters()  # a model draws their linear layers otherwise

    def reset_parameters(self) -> None:
        """Draw the parameters again, by the layer's own method if it has one."""
        if isinstance(self.layer, MixingLayer):
            init_linear(self.layer)
        if hasattr(self.layer, "reset_parameters"):
            self.layer.reset_parameters()  # pyright: ignore[reportCallIssue]
            return
        for module in self.layer.modules():
            if module is not self.layer and hasattr(module, "reset_parameters"):
                module.reset_parameters()  # pyright: ignore[reportCallIssue]

    def forward(self, x: Tensor, batch: Tensor | None = None, **graphs: Any) -> Tensor:
        """Mix the nodes of each graph.

        Args:
            x: Nodes [N, C].
            batch: Graph of each node.
            graphs: ``ptr``, ``weight`` and ``batch_size``, as :class:`~flare_mesh.FLAREAttention`
                takes them.

        Raises:
            ValueError: If shapes do not fit.
        """
        if x.dim() != 2:
            raise ValueError(f"Mixer: expected flat nodes 'x' [N, C] (got {list(x.shape)})")
        return self.mix(x, graphs_of(x, batch, **graphs))

    def mix(self, x: Tensor, graphs: Graphs, rotation: Rotation | None = None) -> Tensor:
        """The output at flat nodes [N, C] of checked graphs.

        A ``rotation`` is for a layer that :func:`is_rotary`.
        """
        if rotation is not None:
            return self.layer(x, graphs, rotation)
        if isinstance(self.layer, MixingLayer):
            return self.layer(x, graphs)
        weight = None if graphs.log_weight is None else graphs.log_weight.exp().to(x.dtype)
        out = self.layer(x, ptr=graphs.layout.ptr, weight=weight)
        if not isinstance(out, Tensor) or out.shape != x.shape:
            got = list(out.shape) if isinstance(out, Tensor) else type(out).__name__
            raise ValueError(
                f"mixer {type(self.layer).__name__}: expected an output of the shape of its input, "
                f"{list(x.shape)} (got {got})"
            )
        return out


def mixer_name(mixer: str | type[nn.Module] | None) -> str | None:
    """The name of a mixing layer in a configuration; None for FLARE."""
    if isinstance(mixer, type):
        return class_path(mixer)
    return None if mixer == "flare" else mixer


def is_ordered(mixer: str | type[nn.Module] | None) -> bool:
    """Whether a mixing layer depends on the order of the nodes; False for FLARE's.

    Raises:
        ValueError: As :func:`check_mixer`.
    """
    return mixer is not None and bool(getattr(check_mixer(mixer), "ORDERED", False))


def is_rotary(mixer: str | type[nn.Module]) -> bool:
    """Whether a mixing layer can rotate queries and keys by their place in a sequence.

    Raises:
        ValueError: As :func:`check_mixer`.
    """
    return bool(getattr(check_mixer(mixer), "ROTARY", False))


def check_mixer(mixer: str | type[nn.Module]) -> type[nn.Module]:
    """The class of a mixing layer.

    Args:
        mixer: ``"flare"``, one of :data:`MIXERS`, a class, or its import path.

    Raises:
        ValueError: If there is no such layer, or its class is not trusted.
    """
    if isinstance(mixer, type):
        return mixer
    if is_class_path(mixer):
        return import_class(mixer, nn.Module)
    if mixer == "flare":
        return FLAREAttention
    if not isinstance(mixer, str) or mixer not in MIXERS:
        raise ValueError(f"unknown mixer '{mixer}'; {nearest(mixer, ['flare', *MIXERS])}")
    return MIXERS[mixer]


def latent_options(mixer: str | type[nn.Module], num_latents: int) -> dict[str, int]:
    """Options of a mixing layer for a number of latents: ``num_latents``, ``num_slices``, or none.

    Args:
        mixer: As in :func:`check_mixer`.
        num_latents: Number of latents or slices.
    """
    known = inspect.signature(check_mixer(mixer)).parameters
    return {key: num_latents for key, size in _SIZES.items() if key in known and size != "heads"}


def build_mixer(
    mixer: str | type[nn.Module],
    channels: int,
    options: Mapping[str, Any] | None = None,
    **flare: Any,
) -> Mixer | FLAREAttention:
    """Build a mixing layer, which has a method ``mix(x, graphs)``.

    Args:
        mixer: As in :func:`check_mixer`.
        channels: Channels C, the first argument of the constructor.
        options: Other arguments of the constructor.
        flare: Options of :class:`~flare_mesh.FLAREAttention`: ``heads`` and ``num_latents`` are
            given to a layer with such parameters (``num_latents`` to ``num_slices`` as well),
            unless ``options`` have them; others do not apply.

    Raises:
        ValueError: If an option does not apply, or the layer cannot be built.
    """
    found, options = check_mixer(mixer), dict(options or {})
    name = mixer_name(mixer) or "flare"
    parameters = inspect.signature(found).parameters
    if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        known = [key for key in parameters if key != next(iter(parameters), None)]
        check_options(f"mixer_options: the mixer '{name}'", options, known)
    sizes = {
        key: flare[size] for key, size in _SIZES.items() if key in parameters and size in flare
    }
    used = {_SIZES[key] for key in sizes}
    unused = [key for key in flare if key not in used and flare[key] != _DEFAULTS.get(key)]
    if unused:
        raise ValueError(
            f"FLAREBlock: the mixer '{name}' has no use for FLARE's option {', '.join(unused)}; "
            f"leave it out, or give mixer_options"
        )
    try:
        layer = found(channels, **{**sizes, **options})
    except (TypeError, ValueError) as error:
        raise ValueError(f"mixer '{name}' with {options}: {error}") from error
    return layer if isinstance(layer, FLAREAttention) else Mixer(layer)
