"""Random ListOps expressions."""

from collections.abc import Callable
from random import Random
from typing import NamedTuple

_MOST = 100_000  # expressions that are drawn for one
_VALUE_OF: tuple[tuple[str, Callable[[list[int]], int]], ...] = (
    ("[MIN", min),
    ("[MAX", max),
    ("[MED", lambda values: _median(values)),
    ("[SM", lambda values: sum(values) % 10),
)


class ListOpsLimits(NamedTuple):
    """Limits of an expression.

    Attributes:
        max_depth: Levels, the outermost operator included.
        max_args: Most arguments of an operator; the fewest are 2.
        min_length: A length that is too short: operators and their ends, and digits.
        max_length: A length that is too long.
    """

    max_depth: int = 10
    max_args: int = 10
    min_length: int = 500
    max_length: int = 2000


def list_ops_expression(random: Random, limits: ListOpsLimits) -> tuple[str, int]:
    """Draw an expression, and compute its value.

    A node above the last level is an operator with probability 1/4, otherwise a digit. An operator
    has 2 to ``max_args`` arguments. Expressions are drawn until one is longer than ``min_length``
    and shorter than ``max_length``. As in the original files, arguments are joined one by one in
    pairs of parentheses: ``( ( ( [MAX 4 ) 3 ) ] )``.

    Args:
        random: Random numbers; only ``random()`` is called, which gives the same in all versions
            of Python.
        limits: Limits of the expression.

    Raises:
        RuntimeError: If none of 100,000 expressions has such a length.
    """
    for _ in range(_MOST):
        tree = _Tree(random.random, limits)
        text, value = tree.draw(1)
        if limits.min_length < tree.length < limits.max_length:
            return text, value
    raise RuntimeError(
        f"none of {_MOST:,} expressions is longer than {limits.min_length} and shorter than "
        f"{limits.max_length}; choose other limits"
    )


def _median(values: list[int]) -> int:
    """Median, rounded down."""
    ordered, half = sorted(values), len(values) // 2
    return ordered[half] if len(values) % 2 else (ordered[half - 1] + ordered[half]) // 2


class _Tree:
    def __init__(self, uniform: Callable[[], float], limits: ListOpsLimits) -> None:
        self.uniform, self.limits = uniform, limits
        self.length = 0

    def draw(self, depth: int) -> tuple[str, int]:
        uniform, limits = self.uniform, self.limits
        if depth >= limits.max_depth or uniform() > 0.25:
            self.length += 1
            digit = int(10 * uniform())
            return str(digit), digit
        self.length += 2
        count = 2 + int((limits.max_args - 1) * uniform())
        parts, values = [], []
        for _ in range(count):
            if self.length >= limits.max_length:  # refused: what follows does not matter
                break
            text, value = self.draw(depth + 1)
            parts.append(text)
            values.append(value)
        operator, value_of = _VALUE_OF[int(4 * uniform())]
        joined = "".join(f" {part} )" for part in parts)
        return f"{'( ' * (count + 1)}{operator}{joined} ] )", value_of(values) if values else 0
