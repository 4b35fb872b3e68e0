"""Normalisers by name."""

import inspect
from collections.abc import Sequence
from typing import Any

from flare_mesh.data.normalizers.fixed import FixedNormalizer
from flare_mesh.data.normalizers.identity import IdentityNormalizer
from flare_mesh.data.normalizers.normalizer import Normalizer
from flare_mesh.data.normalizers.unit_cube import UnitCubeNormalizer
from flare_mesh.data.normalizers.unit_gaussian import UnitGaussianNormalizer

NORMALIZERS: dict[str, type[Normalizer]] = {
    "fixed": FixedNormalizer,
    "identity": IdentityNormalizer,
    "unit_cube": UnitCubeNormalizer,
    "unit_gaussian": UnitGaussianNormalizer,
}
"""The normalisers by name."""


def build_normalizer(
    normalizer: str | type[Normalizer] | Normalizer,
    channels: int,
    *,
    groups: Sequence[int] | None = None,
    **options: Any,
) -> Normalizer:
    """A normaliser of ``channels`` by its name, by its class, or itself.

    Args:
        normalizer: ``"unit_gaussian"``, ``"unit_cube"``, ``"fixed"``, ``"identity"``, a class, or
            an instance, which is returned as it is.
        channels: Number of channels C.
        groups: Numbers of channels that share a scale; see :class:`Normalizer`.
        options: Further options of the class, as ``limits``.

    Raises:
        ValueError: If the name is unknown, an instance has another number of channels, options are
            given for an instance, or the class does not take one of them.
    """
    if isinstance(normalizer, Normalizer):
        if normalizer.channels != channels:
            raise ValueError(
                f"expected a normaliser of {channels} channels (got {normalizer.channels})"
            )
        if groups is not None or options:
            raise ValueError(
                f"expected no options beside a finished {type(normalizer).__name__}; give its class"
            )
        return normalizer
    if isinstance(normalizer, str):
        if normalizer not in NORMALIZERS:
            raise ValueError(
                f"unknown normaliser '{normalizer}'; choose from {sorted(NORMALIZERS)}"
            )
        normalizer = NORMALIZERS[normalizer]
    known = inspect.signature(normalizer).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        for option in options.keys() - known.keys():
            others = [name for name in known if name != "channels"]
            raise ValueError(
                f"{normalizer.__name__}: expected options among {others} (got '{option}')"
            )
    return normalizer(channels, groups=groups, **options)
