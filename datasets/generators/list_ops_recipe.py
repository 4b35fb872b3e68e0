"""Recipe of the Long Range Arena's ListOps set."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from flare_mesh.datasets.generators.list_ops import ListOpsLimits, list_ops_expression
from flare_mesh.datasets.generators.recipe import Recipe, Sample, Target, option

_BLOCK = 100  # expressions of a sample's file
_SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class ListOpsRecipe(Recipe):
    """ListOps of the Long Range Arena (arXiv 2011.04006), drawn as by its program.

    Writes ``listops-1000/basic_{train,val,test}.tsv`` with the columns ``Source`` and ``Target``.
    Expressions differ within each hundred; the original compares all, which with more than 500
    random symbols each makes no difference.

    Args:
        num_train: Expressions in the training file.
        num_val: Expressions in the validation file.
        num_test: Expressions in the test file.
        max_depth: Levels of an expression.
        max_args: Most arguments of an operator.
        min_length: Length that is too short; parentheses do not count.
        max_length: Length that is too long.
    """

    name: ClassVar = "listops"

    num_train: int = option(96000, role="count")
    num_val: int = option(2000, role="count")
    num_test: int = option(2000, role="count")
    max_depth: int = option(10)
    max_args: int = option(10)
    min_length: int = option(500)
    max_length: int = option(2000)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.max_depth < 2 or self.max_args < 2:
            raise ValueError(
                f"expected --max-depth >= 2 and --max-args >= 2 (got {self.max_depth} and "
                f"{self.max_args})"
            )
        if not 3 <= self.min_length < self.max_length - 1:
            raise ValueError(
                f"expected 3 <= --min-length < --max-length - 1 (got {self.min_length} and "
                f"{self.max_length})"
            )
        # The longest expression has an operator with all arguments at each place but the last.
        longest = 1
        for _ in range(self.max_depth - 1):
            longest = min(2 + self.max_args * longest, self.max_length)
        if longest <= self.min_length:
            raise ValueError(
                f"expected --min-length < {longest}, the longest expression of --max-depth "
                f"{self.max_depth} and --max-args {self.max_args} (got {self.min_length})"
            )

    def targets(self) -> list[Target]:
        return [
            Target(
                f"listops-1000/basic_{_SPLITS[split]}.tsv",
                [Sample(split, block) for block in range(-(-count // _BLOCK))],
                partial(_write_tsv, count=count),
            )
            for split, count in enumerate(self.counts().values())
        ]

    def make(self, samples: Sequence[Sample]) -> Iterator[Mapping[str, NDArray]]:
        limits = ListOpsLimits(self.max_depth, self.max_args, self.min_length, self.max_length)
        for sample in samples:
            random = Random(int(self.rng(sample).integers(2**63)))
            rows: dict[str, int] = {}
            while len(rows) < _BLOCK:
                text, value = list_ops_expression(random, limits)
                rows[text] = value
            lines = [f"{text}\t{value}\r\n".encode() for text, value in rows.items()]
            yield {
                "lines": np.frombuffer(b"".join(lines), np.uint8),
                "ends": np.cumsum([len(line) for line in lines]),
            }


def _write_tsv(path: Path, files: Sequence[Path], *, count: int) -> None:
    with path.open("wb") as target:
        target.write(b"Source\tTarget\r\n")
        for place in files:
            with np.load(place, allow_pickle=False) as block:
                rows = min(count, _BLOCK)
                target.write(block["lines"][: block["ends"][rows - 1]].tobytes())
            count -= rows
