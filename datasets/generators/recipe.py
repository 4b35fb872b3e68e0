"""Base class of the recipes of data sets."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Sample(NamedTuple):
    """One sample of a data set.

    Attributes:
        split: Number of its file, such as 0 for training and 1 for test.
        number: Its row in the file, or that of its block of rows.
    """

    split: int
    number: int

    @property
    def file(self) -> str:
        return f"{self.split}_{self.number:06d}.npz"


class Target(NamedTuple):
    """One file of a data set.

    Attributes:
        path: Path below the folder of the data set.
        samples: Samples of the file, in order.
        write: Writes the file to a path, from the files of its samples.
    """

    path: str
    samples: Sequence[Sample]
    write: Callable[[Path, Sequence[Path]], None]


def option(default: Any, *, role: str = "content") -> Any:
    """A field of a recipe and option of the command, described in the recipe's docstring.

    Args:
        default: Default value.
        role: ``"content"`` if it changes the samples, ``"count"`` if it only changes their number,
            ``"run"`` if it only changes how they are computed.
    """
    return field(default=default, metadata={"role": role})


@dataclass(frozen=True)
class Recipe(ABC):
    """Options that determine the content of a data set.

    A sample depends on the options of role ``"content"`` and on its row alone.

    Args:
        seed: Seed of all samples.
    """

    name: ClassVar[str]

    seed: int = option(0)

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"expected --seed >= 0 (got {self.seed})")
        for f in self._fields("count"):
            if getattr(self, f) < 1:
                raise ValueError(f"expected --{f.replace('_', '-')} >= 1 (got {getattr(self, f)})")

    def counts(self) -> dict[str, int]:
        """The options that only change the number of samples."""
        return {name: getattr(self, name) for name in self._fields("count")}

    @abstractmethod
    def targets(self) -> list[Target]:
        """The files of the data set."""

    @abstractmethod
    def make(self, samples: Sequence[Sample]) -> Iterator[Mapping[str, NDArray]]:
        """Compute the arrays of each sample of a batch.

        Raises:
            ValueError: If the solution is unstable with these options.
            RuntimeError: If a solver fails.
        """

    @property
    def batch(self) -> int:
        """Number of samples that are computed together."""
        return 1

    def batches(self) -> list[list[Sample]]:
        """All samples, in batches that depend on their rows only."""
        found: dict[tuple[int, int], list[Sample]] = {}
        for sample in dict.fromkeys(s for target in self.targets() for s in target.samples):
            found.setdefault((sample.split, sample.number // self.batch), []).append(sample)
        return list(found.values())

    def rng(self, sample: Sample) -> np.random.Generator:
        """Random number generator of a sample."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=sample))

    def content(self) -> dict[str, Any]:
        """The options that change the samples."""
        values = asdict(self)
        return {name: values[name] for name in self._fields("content")}

    @classmethod
    def _fields(cls, role: str) -> list[str]:
        return [f.name for f in fields(cls) if f.metadata["role"] == role]
