"""What a data set is made of: the base of all recipes."""

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
        split: 0 for the training file, 1 for the test file; 0 where one file holds both.
        number: Its place in the file.
    """

    split: int
    number: int

    @property
    def file(self) -> str:
        return f"{self.split}_{self.number:06d}.npz"


class Target(NamedTuple):
    """One file of a data set.

    Attributes:
        path: Below the folder of the data set.
        samples: What it holds, in this order.
        write: Writes it to a path, from the files of its samples.
    """

    path: str
    samples: Sequence[Sample]
    write: Callable[[Path, Sequence[Path]], None]


def option(default: Any, help: str, *, role: str = "content", **more: Any) -> Any:
    """A field of a recipe, which is an option of the command.

    Args:
        default: Its default.
        help: What the command says of it.
        role: ``"content"`` if it changes the samples; ``"count"`` if it only says how many there
            are; ``"run"`` if it says how they are computed.
        more: Arguments of ``argparse``.
    """
    return field(default=default, metadata={"help": help, "role": role, **more})


@dataclass(frozen=True)
class Recipe(ABC):
    """What decides the content of a data set.

    A sample depends on the options of role ``"content"`` and on its place alone.

    Args:
        seed: Of all samples.
    """

    name: ClassVar[str]

    seed: int = option(0, "of all samples")

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise ValueError(f"expected --seed >= 0 (got {self.seed})")
        for f in self._fields("count"):
            if getattr(self, f) < 1:
                raise ValueError(f"expected --{f.replace('_', '-')} >= 1 (got {getattr(self, f)})")

    def counts(self) -> dict[str, int]:
        """The options that only say how many samples there are."""
        return {name: getattr(self, name) for name in self._fields("count")}

    @abstractmethod
    def targets(self) -> list[Target]:
        """The files of the data set."""

    @abstractmethod
    def make(self, samples: Sequence[Sample]) -> Iterator[Mapping[str, NDArray]]:
        """The arrays of each of the samples, which are made together.

        Raises:
            ValueError: If the options do not allow it.
            RuntimeError: If a solver fails.
        """

    @property
    def batch(self) -> int:
        """How many samples are made together."""
        return 1

    def batches(self) -> list[list[Sample]]:
        """All samples, in batches that depend on their places only."""
        found: dict[tuple[int, int], list[Sample]] = {}
        for sample in dict.fromkeys(s for target in self.targets() for s in target.samples):
            found.setdefault((sample.split, sample.number // self.batch), []).append(sample)
        return list(found.values())

    def rng(self, sample: Sample) -> np.random.Generator:
        """The random numbers of a sample."""
        return np.random.default_rng(np.random.SeedSequence(self.seed, spawn_key=sample))

    def content(self) -> dict[str, Any]:
        """The options that change the samples."""
        values = asdict(self)
        return {name: values[name] for name in self._fields("content")}

    @classmethod
    def _fields(cls, role: str) -> list[str]:
        return [f.name for f in fields(cls) if f.metadata["role"] == role]
