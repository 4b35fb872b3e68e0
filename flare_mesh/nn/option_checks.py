"""Checks of the options of layers and models; ``owner`` is the object that is being built."""

import math
from collections.abc import Sequence
from typing import Any


def check_at_least(owner: object, least: int, **sizes: int) -> None:
    """Raise a ValueError that names the first size below ``least``."""
    for name, size in sizes.items():
        if size < least:
            raise ValueError(f"{_name(owner)}: expected '{name}' >= {least} (got {size})")


def check_positive(owner: object, **lengths: float) -> None:
    """Raise a ValueError that names the first length that is not positive and finite."""
    for name, length in lengths.items():
        if not 0 < length < math.inf:
            raise ValueError(f"{_name(owner)}: expected '{name}' to be positive (got {length})")


def check_choice(owner: object, choices: Sequence[str], **options: str) -> None:
    """Raise a ValueError that names the first option that is none of the choices."""
    for name, option in options.items():
        if option not in choices:
            raise ValueError(
                f"{_name(owner)}: unknown {name} '{option}'; choose from {list(choices)}"
            )


def check_heads(owner: object, channels: int, heads: int, name: str = "channels") -> None:
    """Raise a ValueError unless the channels are divisible by the heads."""
    if heads < 1 or channels % heads:
        raise ValueError(
            f"{_name(owner)}: expected '{name}' divisible by 'heads' "
            f"(got {channels} channels, {heads} heads)"
        )


def key_and_value(owner: object, **options: Any) -> tuple[Any, Any]:
    """The two values of an option that is one number for keys and values, or a pair.

    Raises:
        ValueError: If it has another length.
    """
    ((name, given),) = options.items()
    pair = tuple(given) if isinstance(given, Sequence) else (given, given)
    if len(pair) != 2:
        raise ValueError(
            f"{_name(owner)}: expected '{name}' to be one number, or two for keys and values "
            f"(got {given})"
        )
    return pair


def hidden_width(owner: object, channels: int, ratio: float) -> int:
    """Width of a hidden layer, ``mlp_ratio`` times ``channels``; a ValueError if it is zero."""
    if (width := int(channels * ratio)) < 1:
        raise ValueError(
            f"{_name(owner)}: expected 'mlp_ratio' of at least 1 / {channels} (got {ratio})"
        )
    return width


def head_width(
    owner: object, channels: int, given: int | None, *, most: int, groups: int = 1
) -> int:
    """Channels of a head, such that ``groups`` divides the number of heads.

    Args:
        owner: The object that is being built.
        channels: Channels of all heads.
        given: Channels of a head; None for the largest possible number up to ``most``.
        most: Limit of the default.
        groups: Groups of heads.

    Raises:
        ValueError: If there is no such number of heads.
    """
    if given is not None:
        check_at_least(owner, 1, head_channels=given)
    for width in range(most, 0, -1) if given is None else (given,):
        if channels % (width * groups) == 0:
            return width
    heads = "" if given is None else f" with {given} channels each"
    raise ValueError(
        f"{_name(owner)}: expected 'expand' times 'channels' to be a multiple of "
        f"{groups * (given or 1)}, for {groups} groups of heads{heads} (got {channels})"
    )


def _name(owner: object) -> str:
    return type(owner).__name__
