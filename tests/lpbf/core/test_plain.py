from dataclasses import dataclass, field

import numpy as np
import pytest

from lpbf.core.plain import from_plain, to_plain


@dataclass(frozen=True)
class Inner:
    size: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner
    count: int = 1
    more: dict[str, int] = field(default_factory=dict)


def test_there_and_back():
    plain = to_plain(Outer(Inner(np.float64(0.5), ("a", "b")), np.int32(3)))
    assert plain == {"inner": {"size": 0.5, "names": ["a", "b"]}, "count": 3, "more": {}}
    assert type(plain["count"]) is int
    readers = {"inner": lambda v: from_plain(Inner, v, {"names": tuple})}
    assert from_plain(Outer, plain, readers) == Outer(Inner(0.5, ("a", "b")), 3)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"inner": 1, "cuont": 1}, "unknown field of Outer 'cuont' .do you mean 'count'"),
        ({"count": 1}, "Outer: expected a inner .got none"),
        ([1], r"Outer: expected its fields by name .got \[1\]"),
    ],
)
def test_bad_values(values, message):
    with pytest.raises(ValueError, match=message):
        from_plain(Outer, values)
