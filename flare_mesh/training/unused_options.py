"""Options that a choice leaves without effect."""

from collections.abc import Iterable
from dataclasses import fields
from typing import Any


def refuse_unused(config: Any, choice: str, unused: Iterable[str]) -> None:
    """Refuses options of a dataclass that differ from their defaults and would do nothing.

    Args:
        config: The dataclass.
        choice: What was chosen, for the message.
        unused: Names of the options without effect.

    Raises:
        ValueError: If there are any.
    """
    defaults = {field.name: field.default for field in fields(config)}
    for name in unused:
        if getattr(config, name) != defaults[name]:
            raise ValueError(
                f"{type(config).__name__}: '{name}' has no effect with {choice} "
                f"(got {getattr(config, name)!r}); leave it out"
            )
