"""Time series whose files differ in the number at the end of their names."""

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from decimal import Decimal
from itertools import pairwise
from typing import NamedTuple

from flare_mesh.cases.time_intervals import is_equally_spaced

_NUMBER = re.compile(r"(.*?)(-?)(\d+)(?:\.(\d+))?((?:[eE][+-]?\d{1,3})?)", re.DOTALL)
_SEPARATORS = "._-= "
# Of 0,25 and 0p25, which are other ways to write 0.25, the last digits are no number.
_OTHER_POINT = re.compile(r"\d[,p]$", re.IGNORECASE)
# What stands before a number that is a word of its own, such as plate_0.5, t=0.5 or run_t0.5.
_WORD = re.compile(r"(?:^|[_\-= ]|(?<!\d)\.|(?:^|[^a-z])(?:t|time))$", re.IGNORECASE)


class NumberedSeries(NamedTuple):
    """Files of a time series.

    Attributes:
        name: The part of the files' names before the number.
        numbers: Number in the name of each file, in ascending order.
        files: The files.
        digits: Digits after the decimal point, at most.
    """

    name: str
    numbers: list[Decimal]
    files: list[str]
    digits: int


class _Name(NamedTuple):
    file: str
    lead: str
    whole: str
    fraction: str
    exponent: str

    @property
    def decimal(self) -> Decimal:
        fraction = f".{self.fraction}" if self.fraction else ""
        return Decimal(f"{self.whole}{fraction}{self.exponent}")


def find_numbered_series(files: Iterable[tuple[str, str]]) -> list[NumberedSeries]:
    """Group files by the part of their names before a number, and sort them by the number.

    A number is an integer, or a decimal number with or without an exponent: ``plate_0.75``,
    ``plate_1e-3``, ``plate_-2``. The ``.`` in ``run1.002`` separates the number 2 from the name
    ``run1``; where both can be meant, equal intervals decide. Files that are in no series of at
    least two files, or whose number remains unclear, are left out.

    Args:
        files: Paths of files of one folder and format, with their names without the suffix.

    Raises:
        ValueError: If two files of a series have the same number.
    """
    groups: dict[str, list[_Name]] = defaultdict(list)
    for file, stem in files:
        name = _split(file, stem)
        if name is not None:
            groups[name.lead.rstrip(_SEPARATORS)].append(name)
    members: dict[str, list[tuple[Decimal, _Name]]] = defaultdict(list)
    for lead, names in groups.items():
        decimal = _are_decimal(names)
        for name in names:
            if not name.fraction or decimal:
                members[lead].append((name.decimal, name))
            elif decimal is not None:
                members[f"{name.lead}{name.whole}"].append((Decimal(name.fraction), name))
    return [_series(lead, numbered) for lead, numbered in members.items() if len(numbered) > 1]


def _split(file: str, stem: str) -> _Name | None:
    match = _NUMBER.fullmatch(stem)
    if match is None:
        return None
    lead, sign, whole, fraction, exponent = match.groups(default="")
    if _OTHER_POINT.search(lead) and not sign:
        return None
    if sign and lead and lead[-1] not in "_= ":
        lead, sign = lead + sign, ""
    if exponent and not _WORD.search(lead):
        # The exponent is the end of a word such as 'case1e5'.
        mantissa = f"{whole}.{fraction}" if fraction else whole
        lead, digits = f"{lead}{sign}{mantissa}e", exponent[1:].lstrip("+-")
        return _Name(file, lead, digits, "", "")
    name = _Name(file, lead, sign + whole, fraction, exponent)
    return name if math.isfinite(float(name.decimal)) else None


def _are_decimal(names: Sequence[_Name]) -> bool | None:
    """Whether ``1.5`` in the names is one number rather than step 5 of run 1; None if unclear."""
    dotted = [name for name in names if name.fraction]
    if not dotted or any(name.exponent for name in names):
        return True
    values = sorted(name.decimal for name in names)
    digits = max(len(name.fraction) for name in dotted)
    equal = len(values) > 2 and is_equally_spaced([*map(float, values)], 10.0**-digits)
    if all(_WORD.search(name.lead) for name in dotted):
        whole = len(dotted) < len(names)
        return equal or whole or not (_are_alike(dotted) or _are_counted(dotted))
    steps = _are_steps(dotted)
    if steps or equal:
        return not steps
    # In a single run whose fractions have the same length, both give the same order.
    one_run = len({name.whole for name in dotted}) == 1
    return False if one_run and len({len(name.fraction) for name in dotted}) == 1 else None


def _runs(names: Sequence[_Name]) -> list[list[int]]:
    """The digits after the points as sorted numbers, by the digits before."""
    runs: dict[str, list[int]] = defaultdict(list)
    for name in names:
        runs[name.whole].append(int(name.fraction))
    return [sorted(run) for run in runs.values()]


def _are_alike(names: Sequence[_Name]) -> bool:
    """Whether several runs have the same steps."""
    runs = _runs(names)
    first = runs[0]
    return len(runs) > 1 and len({*first}) == len(first) > 1 and all(run == first for run in runs)


def _are_counted(names: Sequence[_Name]) -> bool:
    """Whether 9 is followed by 10, which no decimal number would be written as."""
    shortest = min(len(name.fraction) for name in names)
    longer = [name.fraction for name in names if len(name.fraction) > shortest]
    ends = any(one.endswith("0") for one in longer) and not any(one[0] == "0" for one in longer)
    return ends and all(b - a == 1 for run in _runs(names) for a, b in pairwise(run))


def _are_steps(names: Sequence[_Name]) -> bool:
    """Whether the runs have the same steps, or steps of one interval."""
    runs = _runs(names)
    intervals = {b - a for run in runs for a, b in pairwise(run)}
    regular = len(intervals) == 1 and 0 not in intervals and max(map(len, runs)) > 2
    return _are_alike(names) or (regular and min(map(len, runs)) > 1)


def _series(lead: str, members: list[tuple[Decimal, _Name]]) -> NumberedSeries:
    members = sorted(members, key=lambda member: (member[0], member[1].file))
    for (number, one), (following, other) in pairwise(members):
        if number == following:
            raise ValueError(
                f"{other.file}: has the same number, {number}, as {one.file}; rename or remove one"
            )
    digits = max(
        (-int(number.as_tuple().exponent) for number, name in members if not name.exponent),
        default=0,
    )
    numbers = [number for number, _ in members]
    return NumberedSeries(lead, numbers, [name.file for _, name in members], max(digits, 0))
