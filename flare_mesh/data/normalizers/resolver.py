"""Builds normalisers by name."""

import inspect
from collections.abc import Sequence
from typing import Any

from flare_mesh.choices import check_choice, check_options
from flare_mesh.data.normalizers.fixed import FixedNormalizer
from flare_mesh.data.normalizers.identity import IdentityNormalizer
from flare_mesh.data.normalizers.log import LogNormalizer
from flare_mesh.data.normalizers.normalizer import Normalizer
from flare_mesh.data.normalizers.signed_root import SignedRootNormalizer
from flare_mesh.data.normalizers.unit_cube import UnitCubeNormalizer
from flare_mesh.data.normalizers.unit_gaussian import UnitGaussianNormalizer

NORMALIZERS: dict[str, type[Normalizer]] = {
    "fixed": FixedNormalizer,
    "identity": IdentityNormalizer,
    "log": LogNormalizer,
    "signed_root": SignedRootNormalizer,
    "unit_cube": UnitCubeNormalizer,
    "unit_gaussian": UnitGaussianNormalizer,
}
"""Normalisers by name."""


def build_normalizer(
    normalizer: str | type[Normalizer] | Normalizer,
    channels: int,
    *,
    groups: Sequence[int] | None = None,
    **options: Any,
) -> Normalizer:
    """Build a normaliser of ``channels`` by its name or class.

    Args:
        normalizer: ``"unit_gaussian"``, ``"unit_cube"``, ``"fixed"``, ``"identity"``, ``"log"``,
            ``"signed_root"``, a class, or an instance, which is returned unchanged.
        channels: Number of channels C.
        groups: Sizes of the groups of channels that share a scale; see
            :class:`~flare_mesh.data.normalizers.normalizer.Normalizer`.
        options: Further options of the class, such as ``limits``.

    Raises:
        ValueError: If the name or an option is unknown, an instance has another number of
            channels, or options are given with an instance.
    """
    if isinstance(normalizer, Normalizer):
        if normalizer.channels != channels:
            raise ValueError(
                f"expected a normaliser of {channels} channels (got {normalizer.channels})"
            )
        if groups is not None or options:
            raise ValueError(
                f"expected no options with an instance of {type(normalizer).__name__}; give its "
                f"class"
            )
        return normalizer
    if isinstance(normalizer, str):
        check_choice("unknown normaliser", normalizer, NORMALIZERS)
        normalizer = NORMALIZERS[normalizer]
    known = inspect.signature(normalizer).parameters
    if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in known.values()):
        check_options(f"the normaliser {normalizer.__name__}", options, known.keys() - {"channels"})
    return normalizer(channels, groups=groups, **options)
