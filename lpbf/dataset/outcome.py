"""What became of a case."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Rejection:
    """Why a part was not taken.

    Attributes:
        kind: ``"part"`` (unusable), ``"islands"``, ``"nodes"``, ``"displacement"``,
            ``"not converged"`` or ``"not finite"``.
        reason: A sentence with the numbers.
    """

    kind: str
    reason: str


@dataclass
class Outcome:
    """What became of a case.

    Attributes:
        case: Its name.
        rejected: The parts that were not taken before one was, if any.
        entry: The case's entry of ``index.json``; None if it was given up.
        seconds: Wall time of all of it.
    """

    case: str
    rejected: list[Rejection] = field(default_factory=list)
    entry: dict[str, Any] | None = None
    seconds: float = 0.0

    @property
    def warnings(self) -> list[str]:
        """Of the accepted part."""
        return [] if self.entry is None else self.entry["metadata"]["warnings"]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Outcome":
        """The outcome of :meth:`to_dict`'s values."""
        rejected = [Rejection(**rejection) for rejection in values["rejected"]]
        return cls(values["case"], rejected, values["entry"], values["seconds"])
