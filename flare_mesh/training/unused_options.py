"""Refusal of options without effect."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any


def refuse_unused(config: Any, choice: str, unused: Iterable[str]) -> None:
    """Refuse options that have no effect and differ from their defaults.

    Args:
        config: Dataclass of options.
        choice: Reason for the message, such as "the schedule 'cosine'".
        unused: Names of the options without effect.

    Raises:
        ValueError: At the first.
    """
    defaults = {field.name: field.default for field in fields(config)}
    for name in unused:
        if getattr(config, name) != defaults[name]:
            raise ValueError(
                f"{type(config).__name__}: '{name}' has no effect with {choice} "
                f"(got {getattr(config, name)!r}); leave it out"
            )
