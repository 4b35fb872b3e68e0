"""Outcome of a case."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rejection:
    """Reason why a part was rejected.

    Attributes:
        kind: ``"part"`` (unusable), ``"islands"``, ``"nodes"``, ``"displacement"``,
            ``"not converged"``, ``"not finite"``, ``"error"`` (an unexpected one, of a part file)
            or ``"crash"`` (of the worker).
        reason: The reason in a sentence.
    """

    kind: str
    reason: str

    @classmethod
    def by_crash(cls, how: str) -> "Rejection":
        """The rejection of a case that ended its worker at each try."""
        return cls("crash", f"the case ended its worker at each try ({how})")

    @property
    def is_crash(self) -> bool:
        """Whether the case ended its worker, so that another try may succeed."""
        return self.kind == "crash"


@dataclass
class Outcome:
    """Outcome of a case.

    Attributes:
        case: Name of the case.
        rejected: Rejections before a part was accepted.
        entry: Entry in ``index.json``; None if the case was given up.
        seconds: Wall time.
    """

    case: str
    rejected: list[Rejection] = field(default_factory=list)
    entry: dict[str, Any] | None = None
    seconds: float = 0.0

    @property
    def warnings(self) -> list[str]:
        """Warnings about the accepted part."""
        return [] if self.entry is None else self.entry["metadata"]["warnings"]

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Outcome":
        """Make an outcome from the dictionary of its fields."""
        rejected = [Rejection(**rejection) for rejection in values["rejected"]]
        return cls(values["case"], rejected, values["entry"], values["seconds"])
