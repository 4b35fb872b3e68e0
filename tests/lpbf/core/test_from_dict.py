from dataclasses import asdict, dataclass, field

import pytest

from lpbf.core.from_dict import from_dict


@dataclass(frozen=True)
class Inner:
    size: float
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outer:
    inner: Inner
    count: int = 1
    more: dict[str, int] = field(default_factory=dict)


def test_round_trip():
    outer = Outer(Inner(0.5, ("a", "b")), 3)
    readers = {"inner": lambda v: from_dict(Inner, v, {"names": tuple})}
    assert from_dict(Outer, asdict(outer), readers) == outer


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"inner": 1, "cuont": 1}, "Outer: unknown field 'cuont'; did you mean 'count'"),
        ({"count": 1}, "Outer: expected a inner .got none"),
        ([1], r"Outer: expected its fields by name .got \[1\]"),
    ],
)
def test_bad_values(values, message):
    with pytest.raises(ValueError, match=message):
        from_dict(Outer, values)
