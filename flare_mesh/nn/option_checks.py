"""Checks of sizes that several layers and models have in common."""


def check_heads(owner: str, channels: int, heads: int) -> None:
    """Raises a ValueError unless the channels can be dealt out to the heads."""
    if heads < 1 or channels % heads:
        raise ValueError(
            f"{owner}: expected 'channels' divisible by 'heads' "
            f"(got {channels} channels, {heads} heads)"
        )


def check_at_least(owner: str, least: int, **sizes: int) -> None:
    """Raises a ValueError that names the first size below ``least``."""
    for name, size in sizes.items():
        if size < least:
            raise ValueError(f"{owner}: expected '{name}' >= {least} (got {size})")


def hidden_width(owner: str, channels: int, ratio: float) -> int:
    """Hidden channels of a network ``mlp_ratio`` times as wide as its input.

    Raises:
        ValueError: If no channel would be left.
    """
    if (width := int(channels * ratio)) < 1:
        raise ValueError(
            f"{owner}: expected 'mlp_ratio' to leave at least one hidden channel "
            f"(got {ratio} with {channels} channels)"
        )
    return width
